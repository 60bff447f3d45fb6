#!/usr/bin/env bash
# Writes examples/motion: 24 clips of each class with the ffmpeg command line (5.1.9, Debian: ffmpeg), in which a square
# moves to the left or to the right. Where it is, how large and how fast says nothing of the class.
set -euo pipefail
cd "$(dirname "$0")/../../examples"
clips() { # class, sign of the motion
    mkdir -p "motion/$1"
    ffmpeg -nostdin -loglevel error -y -f lavfi -i "nullsrc=s=32x32:r=10:d=38.4,format=gray,geq=lum='if(
        between(mod(X-(mod(floor(N/16)*13,32)$2(2+mod(floor(N/16),2))*mod(N,16))+320,32),0,5+mod(floor(N/16),4))*
        between(Y,mod(floor(N/16)*7,22),mod(floor(N/16)*7,22)+7),230,20)'" -c:v libx264 -crf 24 -pix_fmt yuv420p -g 16 \
        -keyint_min 16 -sc_threshold 0 -bsf:v filter_units=remove_types=6 -fflags +bitexact -flags:v +bitexact \
        -map_metadata -1 -f segment -segment_time 1.6 -reset_timestamps 1 "motion/$1/%02d.mp4"
}
clips left -
clips right +
