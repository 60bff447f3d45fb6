#!/usr/bin/env bash
# Makes the files of this suite with SoX 14.4.2 (Debian: sox): 800 samples of a sine of 440 Hz at half of full
# scale, 8000 a second. The WAV forms with plain samples are written by the test itself.
set -euo pipefail
cd "$(dirname "$0")/files"
tone() { sox -D -R -r 8000 -c "${2:-1}" -n "${@:3}" "$1" synth 800s sine 440 gain -6.0205999; }
tone mono.flac 1 -b 16
tone stereo.flac 2 -b 24
tone mono.ogg 1 -C 6
tone mono.aiff 1 -b 16
tone mono.au 1 -b 16
tone alaw.wav 1 -e a-law
tone adpcm.wav 1 -e ima-adpcm
