/* Stop words: common words that say little of what a text is about.
 *
 * en is the list of scikit-learn (sklearn.feature_extraction.text.ENGLISH_STOP_WORDS, after the
 * Glasgow Information Retrieval Group; Copyright 2007-2024 the scikit-learn developers, BSD
 * 3-clause licence), so that results agree with it. zh, de, fr and es are of this project:
 * articles, pronouns, prepositions, auxiliaries. A fitted model keeps the words that it was made
 * with. Static; any thread. */
#include "feature/terms.h"

// clang-format off
static const char *const en[] = {
    "a", "about", "above", "across", "after", "afterwards", "again", "against", "all", "almost",
    "alone", "along", "already", "also", "although", "always", "am", "among", "amongst",
    "amoungst", "amount", "an", "and", "another", "any", "anyhow", "anyone", "anything",
    "anyway", "anywhere", "are", "around", "as", "at", "back", "be", "became", "because",
    "become", "becomes", "becoming", "been", "before", "beforehand", "behind", "being", "below",
    "beside", "besides", "between", "beyond", "bill", "both", "bottom", "but", "by", "call",
    "can", "cannot", "cant", "co", "con", "could", "couldnt", "cry", "de", "describe", "detail",
    "do", "done", "down", "due", "during", "each", "eg", "eight", "either", "eleven", "else",
    "elsewhere", "empty", "enough", "etc", "even", "ever", "every", "everyone", "everything",
    "everywhere", "except", "few", "fifteen", "fifty", "fill", "find", "fire", "first", "five",
    "for", "former", "formerly", "forty", "found", "four", "from", "front", "full", "further",
    "get", "give", "go", "had", "has", "hasnt", "have", "he", "hence", "her", "here",
    "hereafter", "hereby", "herein", "hereupon", "hers", "herself", "him", "himself", "his",
    "how", "however", "hundred", "i", "ie", "if", "in", "inc", "indeed", "interest", "into",
    "is", "it", "its", "itself", "keep", "last", "latter", "latterly", "least", "less", "ltd",
    "made", "many", "may", "me", "meanwhile", "might", "mill", "mine", "more", "moreover",
    "most", "mostly", "move", "much", "must", "my", "myself", "name", "namely", "neither",
    "never", "nevertheless", "next", "nine", "no", "nobody", "none", "noone", "nor", "not",
    "nothing", "now", "nowhere", "of", "off", "often", "on", "once", "one", "only", "onto",
    "or", "other", "others", "otherwise", "our", "ours", "ourselves", "out", "over", "own",
    "part", "per", "perhaps", "please", "put", "rather", "re", "same", "see", "seem", "seemed",
    "seeming", "seems", "serious", "several", "she", "should", "show", "side", "since",
    "sincere", "six", "sixty", "so", "some", "somehow", "someone", "something", "sometime",
    "sometimes", "somewhere", "still", "such", "system", "take", "ten", "than", "that", "the",
    "their", "them", "themselves", "then", "thence", "there", "thereafter", "thereby",
    "therefore", "therein", "thereupon", "these", "they", "thick", "thin", "third", "this",
    "those", "though", "three", "through", "throughout", "thru", "thus", "to", "together",
    "too", "top", "toward", "towards", "twelve", "twenty", "two", "un", "under", "until", "up",
    "upon", "us", "very", "via", "was", "we", "well", "were", "what", "whatever", "when",
    "whence", "whenever", "where", "whereafter", "whereas", "whereby", "wherein", "whereupon",
    "wherever", "whether", "which", "while", "whither", "who", "whoever", "whole", "whom",
    "whose", "why", "will", "with", "within", "without", "would", "yet", "you", "your", "yours",
    "yourself", "yourselves",
};
static const char *const zh[] = {
    "一", "一个", "上", "下", "不", "与", "且", "个", "中", "为", "为了", "之", "也", "了", "于", "些", "人", "什么",
    "从", "他", "他们", "以", "们", "会", "但", "但是", "你", "你们", "其", "再", "几", "则", "到", "前", "即", "去",
    "又", "及", "只", "可", "可以", "各", "后", "向", "吗", "吧", "呀", "呢", "和", "哦", "哪", "哪里", "啊", "嗯",
    "因为", "在", "地", "多少", "太", "她", "她们", "好", "如果", "它", "它们", "对", "就", "已", "已经", "并", "并且",
    "应", "应该", "很", "得", "怎么", "我", "我们", "或", "所以", "才", "把", "时", "时候", "是", "更", "最", "有",
    "本", "来", "某", "正在", "此", "每", "比", "没有", "由", "的", "看", "着", "等", "给", "而", "能", "能够",
    "自己", "虽然", "被", "要", "让", "该", "说", "谁", "过", "还", "这", "这个", "这些", "这样", "这里", "那", "那个",
    "那些", "那样", "那里", "都", "里", "非常",
};
static const char *const de[] = {
    "aber", "alle", "allem", "allen", "aller", "alles", "als", "also", "am", "an", "ander",
    "andere", "anderem", "anderen", "anderer", "anderes", "auch", "auf", "aus", "bei", "bin",
    "bis", "bist", "da", "damit", "dann", "das", "dass", "dein", "deine", "dem", "den", "denn",
    "der", "des", "dich", "die", "dies", "diese", "diesem", "diesen", "dieser", "dieses", "dir",
    "doch", "dort", "du", "durch", "ein", "eine", "einem", "einen", "einer", "eines", "er",
    "es", "etwas", "euch", "euer", "eure", "für", "gegen", "hab", "habe", "haben", "hat",
    "hatte", "hatten", "hier", "hin", "hinter", "ich", "ihm", "ihn", "ihnen", "ihr", "ihre",
    "ihrem", "ihren", "ihrer", "ihres", "im", "in", "ins", "ist", "ja", "jede", "jedem",
    "jeden", "jeder", "jedes", "jene", "jenem", "jenen", "jener", "jenes", "jetzt", "kann",
    "kein", "keine", "keinem", "keinen", "keiner", "keines", "können", "könnte", "man",
    "manche", "mein", "meine", "meinem", "meinen", "meiner", "meines", "mich", "mir", "mit",
    "muss", "musste", "nach", "nicht", "nichts", "noch", "nun", "nur", "ob", "oder", "ohne",
    "sehr", "sein", "seine", "seinem", "seinen", "seiner", "seines", "selbst", "sich", "sie",
    "sind", "so", "solche", "soll", "sollte", "sondern", "sonst", "um", "und", "uns", "unser",
    "unsere", "unter", "viel", "vom", "von", "vor", "war", "waren", "warst", "was", "weil",
    "welche", "welchem", "welchen", "welcher", "welches", "wenn", "wer", "werde", "werden",
    "wie", "wieder", "will", "wir", "wird", "wirst", "wo", "wollen", "wollte", "während",
    "würde", "würden", "zu", "zum", "zur", "zwar", "zwischen", "über",
};
static const char *const fr[] = {
    "a", "ai", "as", "au", "aux", "avaient", "avait", "avec", "avez", "avons", "c", "car", "ce",
    "ces", "cet", "cette", "comme", "d", "dans", "de", "des", "donc", "dont", "du", "elle",
    "elles", "en", "entre", "est", "et", "eu", "eux", "faire", "fait", "il", "ils", "j", "je",
    "l", "la", "le", "les", "leur", "leurs", "lui", "m", "ma", "mais", "me", "mes", "moi",
    "mon", "même", "n", "ne", "ni", "nos", "notre", "nous", "on", "ont", "ou", "où", "par",
    "pas", "plus", "pour", "qu", "que", "qui", "quoi", "s", "sa", "sans", "se", "sera",
    "seront", "ses", "si", "soit", "sommes", "son", "sont", "suis", "sur", "t", "ta", "te",
    "tes", "toi", "ton", "tous", "tout", "toute", "toutes", "très", "tu", "un", "une", "vos",
    "votre", "vous", "y", "à", "ça", "étaient", "était", "été", "êtes", "être",
};
static const char *const es[] = {
    "a", "al", "algo", "algunas", "algunos", "ante", "antes", "como", "con", "contra", "cual",
    "cuando", "de", "del", "desde", "donde", "durante", "e", "el", "ella", "ellas", "ellos",
    "en", "entre", "era", "eran", "eres", "es", "esa", "esas", "ese", "eso", "esos", "esta",
    "estas", "este", "esto", "estos", "está", "están", "fue", "fueron", "ha", "había", "han",
    "hasta", "hay", "la", "las", "le", "les", "lo", "los", "me", "mi", "mis", "mucho", "muchos",
    "muy", "más", "mí", "nada", "ni", "no", "nos", "nosotros", "o", "os", "otra", "otras",
    "otro", "otros", "para", "pero", "poco", "por", "porque", "que", "quien", "quienes", "qué",
    "se", "sea", "ser", "si", "sido", "sin", "sobre", "son", "su", "sus", "sí", "también",
    "tanto", "te", "tiene", "tienen", "todo", "todos", "tu", "tus", "tú", "un", "una", "uno",
    "unos", "usted", "ustedes", "y", "ya", "yo", "él",
};
// clang-format on

const char *const *am_stop_words(struct am_str language, size_t *n)
{
    static const struct {
        const char *language;
        const char *const *words;
        size_t n;
    } lists[] = {
        {"en", en, sizeof en / sizeof en[0]}, {"zh", zh, sizeof zh / sizeof zh[0]},
        {"de", de, sizeof de / sizeof de[0]}, {"fr", fr, sizeof fr / sizeof fr[0]},
        {"es", es, sizeof es / sizeof es[0]},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (am_str_is(language, lists[i].language)) {
            *n = lists[i].n;
            return lists[i].words;
        }
    return NULL;
}
