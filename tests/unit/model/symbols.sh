#!/bin/sh
# libaimass.so carries no fitting code, exports only its own interface, and links only libc, libm, jansson
# and libcrypto (and the sanitizers' libraries in such a build).   symbols.sh LIBAIMASS_SO
set -eu
lib=$1
bad=0
needed=$(readelf -d "$lib" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for so in $needed; do
    case $so in
    libc.so.* | libm.so.* | ld-linux* | libjansson.so.* | libcrypto.so.*) ;;
    libasan.so.* | libubsan.so.* | libtsan.so.* | libgcov*) ;;
    *) echo "links $so"; bad=1 ;;
    esac
done
others=$(nm -D --defined-only "$lib" | awk '$2 != "A" && $3 !~ /^aimass_/ {print $3}' | grep -v '^AIMASS_' | head -5 || true)
[ -z "$others" ] || { echo "exports: $others"; bad=1; }
n=$(nm -D --defined-only "$lib" | grep -c ' T aimass_' || true)
[ "$n" -ge 18 ] || { echo "only $n functions are exported"; bad=1; }
# symbols of the fitting halves, of the engines of drivers, of OpenBLAS and ICU
fitting=$(nm "$lib" | grep -E ' [TtDdBbRr] (am_(train|optim|sched|grad|loss|params_init|features_fit|features_apply_train|target_fit|learn|eval|fill_|yaml_parse|tables|records|blobs)|duckdb_|sqlite3|cblas_|openblas|uv_|u_|ucnv_)' || true)
[ -z "$fitting" ] || { echo "fitting code inside:"; echo "$fitting" | head; bad=1; }
nm "$lib" | grep -qE ' [Tt] am_predict_rows$' || { echo "no symbols to judge by: the library is stripped"; bad=1; }
exit $bad
