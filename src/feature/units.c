/* Common units as factor and offset to the base unit of their quantity, for `unit: {from: .., to:
 * ..}`.
 *
 * Static data. Names are matched exactly first, then without regard to case (mg/dl). What depends
 * on the substance (mg/dL to mmol/L) is no conversion of units: the recipe gives its factor. Exact
 * factors are those of the SI brochure (9th edition) and NIST SP 811. */
#include <strings.h>

#include "feature/spec.h"

enum quantity {
    LENGTH,
    AREA,
    VOLUME,
    MASS,
    TIME,
    SPEED,
    TEMPERATURE,
    PRESSURE,
    ENERGY,
    POWER,
    ANGLE,
    BYTES,
    SHARE,
    MASS_CONCENTRATION,
    MOLAR_CONCENTRATION,
    FREQUENCY,
    CURRENT,
    VOLTAGE,
    FORCE
};

struct unit {
    const char *name;
    enum quantity quantity;
    double factor, offset; /* base = x * factor + offset */
};

#define FOOT 0.3048
#define POUND 0.45359237
#define PI 3.14159265358979323846

static const struct unit units[] = {
    {"m", LENGTH, 1, 0},
    {"km", LENGTH, 1e3, 0},
    {"dm", LENGTH, 0.1, 0},
    {"cm", LENGTH, 0.01, 0},
    {"mm", LENGTH, 1e-3, 0},
    {"um", LENGTH, 1e-6, 0},
    {"nm", LENGTH, 1e-9, 0},
    {"in", LENGTH, FOOT / 12, 0},
    {"inch", LENGTH, FOOT / 12, 0},
    {"ft", LENGTH, FOOT, 0},
    {"yd", LENGTH, 3 * FOOT, 0},
    {"mi", LENGTH, 5280 * FOOT, 0},
    {"mile", LENGTH, 5280 * FOOT, 0},
    {"nmi", LENGTH, 1852, 0},
    {"m2", AREA, 1, 0},
    {"km2", AREA, 1e6, 0},
    {"cm2", AREA, 1e-4, 0},
    {"mm2", AREA, 1e-6, 0},
    {"ha", AREA, 1e4, 0},
    {"acre", AREA, 43560 * FOOT *FOOT, 0},
    {"ft2", AREA, FOOT *FOOT, 0},
    {"mu", AREA, 2000.0 / 3, 0},
    {"L", VOLUME, 1e-3, 0},
    {"dL", VOLUME, 1e-4, 0},
    {"mL", VOLUME, 1e-6, 0},
    {"m3", VOLUME, 1, 0},
    {"cm3", VOLUME, 1e-6, 0},
    {"ft3", VOLUME, FOOT *FOOT *FOOT, 0},
    {"gal", VOLUME, 3.785411784e-3, 0},
    {"kg", MASS, 1, 0},
    {"g", MASS, 1e-3, 0},
    {"mg", MASS, 1e-6, 0},
    {"ug", MASS, 1e-9, 0},
    {"t", MASS, 1e3, 0},
    {"lb", MASS, POUND, 0},
    {"oz", MASS, POUND / 16, 0},
    {"st", MASS, 14 * POUND, 0},
    {"jin", MASS, 0.5, 0},
    {"s", TIME, 1, 0},
    {"ms", TIME, 1e-3, 0},
    {"us", TIME, 1e-6, 0},
    {"ns", TIME, 1e-9, 0},
    {"min", TIME, 60, 0},
    {"h", TIME, 3600, 0},
    {"d", TIME, 86400, 0},
    {"day", TIME, 86400, 0},
    {"week", TIME, 604800, 0},
    {"year", TIME, 31557600, 0},
    {"m/s", SPEED, 1, 0},
    {"km/h", SPEED, 1 / 3.6, 0},
    {"mph", SPEED, 5280 * FOOT / 3600, 0},
    {"kn", SPEED, 1852.0 / 3600, 0},
    {"K", TEMPERATURE, 1, 0},
    {"C", TEMPERATURE, 1, 273.15},
    {"celsius", TEMPERATURE, 1, 273.15},
    {"F", TEMPERATURE, 5.0 / 9, 459.67 * 5 / 9},
    {"fahrenheit", TEMPERATURE, 5.0 / 9, 459.67 * 5 / 9},
    {"Pa", PRESSURE, 1, 0},
    {"hPa", PRESSURE, 100, 0},
    {"kPa", PRESSURE, 1e3, 0},
    {"MPa", PRESSURE, 1e6, 0},
    {"bar", PRESSURE, 1e5, 0},
    {"mbar", PRESSURE, 100, 0},
    {"atm", PRESSURE, 101325, 0},
    {"mmHg", PRESSURE, 133.322387415, 0},
    {"psi", PRESSURE, 6894.757293168361, 0},
    {"J", ENERGY, 1, 0},
    {"kJ", ENERGY, 1e3, 0},
    {"MJ", ENERGY, 1e6, 0},
    {"cal", ENERGY, 4.184, 0},
    {"kcal", ENERGY, 4184, 0},
    {"Wh", ENERGY, 3600, 0},
    {"kWh", ENERGY, 3.6e6, 0},
    {"W", POWER, 1, 0},
    {"kW", POWER, 1e3, 0},
    {"MW", POWER, 1e6, 0},
    {"hp", POWER, 745.6998715822702, 0},
    {"rad", ANGLE, 1, 0},
    {"deg", ANGLE, PI / 180, 0},
    {"B", BYTES, 1, 0},
    {"kB", BYTES, 1e3, 0},
    {"MB", BYTES, 1e6, 0},
    {"GB", BYTES, 1e9, 0},
    {"KiB", BYTES, 1024, 0},
    {"MiB", BYTES, 1048576, 0},
    {"GiB", BYTES, 1073741824, 0},
    {"ratio", SHARE, 1, 0},
    {"percent", SHARE, 0.01, 0},
    {"%", SHARE, 0.01, 0},
    {"permille", SHARE, 1e-3, 0},
    {"g/L", MASS_CONCENTRATION, 1, 0},
    {"g/dL", MASS_CONCENTRATION, 10, 0},
    {"mg/dL", MASS_CONCENTRATION, 0.01, 0},
    {"mg/L", MASS_CONCENTRATION, 1e-3, 0},
    {"ug/mL", MASS_CONCENTRATION, 1e-3, 0},
    {"ug/L", MASS_CONCENTRATION, 1e-6, 0},
    {"ng/mL", MASS_CONCENTRATION, 1e-6, 0},
    {"mol/L", MOLAR_CONCENTRATION, 1, 0},
    {"mmol/L", MOLAR_CONCENTRATION, 1e-3, 0},
    {"umol/L", MOLAR_CONCENTRATION, 1e-6, 0},
    {"nmol/L", MOLAR_CONCENTRATION, 1e-9, 0},
    {"Hz", FREQUENCY, 1, 0},
    {"kHz", FREQUENCY, 1e3, 0},
    {"MHz", FREQUENCY, 1e6, 0},
    {"rpm", FREQUENCY, 1.0 / 60, 0},
    {"A", CURRENT, 1, 0},
    {"mA", CURRENT, 1e-3, 0},
    {"V", VOLTAGE, 1, 0},
    {"mV", VOLTAGE, 1e-3, 0},
    {"kV", VOLTAGE, 1e3, 0},
    {"N", FORCE, 1, 0},
    {"kN", FORCE, 1e3, 0},
    {"lbf", FORCE, POUND * 9.80665, 0},
};
#define N_UNITS (sizeof units / sizeof units[0])

static enum am_rc find(struct am_str name, const struct unit **out, struct am_err *err)
{
    const char *names[N_UNITS];
    for (size_t i = 0; i < N_UNITS; i++) {
        names[i] = units[i].name;
        if (am_str_is(name, units[i].name)) {
            *out = &units[i];
            return AM_OK;
        }
    }
    for (size_t i = 0; i < N_UNITS; i++) {
        if (strlen(units[i].name) == name.len &&
            strncasecmp(units[i].name, name.ptr, name.len) == 0) {
            *out = &units[i];
            return AM_OK;
        }
    }
    enum am_rc rc = am_fail(err, AM_EUSAGE, "unit \"%.*s\" is not known", AM_FMT(name));
    const char *near = am_str_nearest(name, names, N_UNITS);
    if (near)
        am_hint(err, "Did you mean \"%s\"? Other units: give `factor` (and `offset`).", near);
    else
        am_hint(err, "Give `factor` (and `offset`): to = from * factor + offset.");
    return rc;
}

enum am_rc am_funit_find(struct am_str from, struct am_str to, double *factor, double *offset,
                         struct am_err *err)
{
    const struct unit *f = NULL, *t = NULL;
    AM_TRY(find(from, &f, err));
    AM_TRY(find(to, &t, err));
    if (f->quantity != t->quantity) {
        enum am_rc rc = am_fail(err, AM_EUSAGE, "unit \"%.*s\" does not convert to \"%.*s\"",
                                AM_FMT(from), AM_FMT(to));
        am_hint(
            err,
            "Give `factor` when the substance or the case decides: to = from * factor + offset.");
        return rc;
    }
    *factor = f->factor / t->factor;
    *offset = (f->offset - t->offset) / t->factor;
    return AM_OK;
}
