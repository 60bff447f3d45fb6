#!/usr/bin/env bash
# Makes the files of this suite, and the pictures that they must decode to, with the ffmpeg command line (5.1.9,
# Debian: ffmpeg): 20 frames of 48 x 32 pixels, 10 a second, of moving waves. NAME.rgb holds frames 2, 7, 12 and
# 17 as RGB: those that four frames spread evenly are.
set -euo pipefail
cd "$(dirname "$0")/files"
ff() { ffmpeg -nostdin -loglevel error -y "$@"; }
wave="geq=lum='16+mod(5*X+3*Y+11*N,200)':cb='128+60*sin(X/9+N/3)':cr='128+50*cos(Y/7-N/4)'"
pattern=(-f lavfi -i "nullsrc=s=48x32:r=10:d=2,$wave")
same=(-fflags +bitexact -flags:v +bitexact -map_metadata -1)
clip() { # NAME, then the encoder's options
    ff "${pattern[@]}" -pix_fmt yuv420p "${@:2}" "${same[@]}" "$1"
    ff -i "$1" -vf "select='eq(n,2)+eq(n,7)+eq(n,12)+eq(n,17)'" -vsync 0 -pix_fmt rgb24 \
        -sws_flags bilinear+accurate_rnd+bitexact+full_chroma_int -f rawvideo "$1.rgb"
}
clip h264.mp4 -c:v libx264 -g 8 -bf 2 -crf 30
clip hevc.mp4 -c:v libx265 -x265-params log-level=none:keyint=8 -crf 30
clip mpeg4.avi -c:v mpeg4 -g 8 -bf 2 -q:v 6
clip mjpeg.avi -c:v mjpeg -q:v 8 -color_range pc
clip vp9.webm -c:v libvpx-vp9 -g 8 -b:v 60k
clip mpeg1.mpg -c:v mpeg1video -r 25 -g 8 -bf 2 -q:v 6 -vf settb=1/25,setpts=N
clip theora.ogv -c:v libtheora -q:v 4
clip ffv1.mkv -c:v ffv1
rm -f hevc.mp4.rgb mjpeg.avi.rgb theora.ogv.rgb

# the same pictures: transport stream, Windows Media, Flash, sound beside them, turned, of uneven times
ff "${pattern[@]}" -pix_fmt yuv420p -c:v mpeg2video -r 25 -g 8 -q:v 6 -vf settb=1/25,setpts=N "${same[@]}" mpeg2.ts
ff "${pattern[@]}" -pix_fmt yuv420p -c:v wmv2 -q:v 6 "${same[@]}" wmv2.wmv
ff "${pattern[@]}" -pix_fmt yuv420p -c:v flv -q:v 6 "${same[@]}" flv.flv
ff -i h264.mp4 -f lavfi -i sine=d=2 -c:v copy -c:a aac -b:a 16k "${same[@]}" sound.mp4
ff -i h264.mp4 -c copy -metadata:s:v rotate=90 -fflags +bitexact turned.mp4
# frame i is shown at i^2 / 10 seconds
ff -f lavfi -i "nullsrc=s=48x32:r=10:d=0.5,$wave" -vf "setpts=N*N/10/TB" -vsync vfr -pix_fmt yuv420p -c:v ffv1 "${same[@]}" uneven.mkv

# many key frames: real ones, and ones that need what is before them
ff "${pattern[@]}" -pix_fmt yuv420p -c:v libx264 -crf 30 -g 4 -bf 2 "${same[@]}" keys.mp4
ff "${pattern[@]}" -pix_fmt yuv420p -c:v libx264 -crf 30 -x264-params keyint=4:open-gop=1:bframes=2 "${same[@]}" open.mp4
ff "${pattern[@]}" -pix_fmt yuv420p -c:v libx265 -crf 30 -x265-params log-level=none:keyint=4:min-keyint=4:open-gop=1:bframes=2 \
    "${same[@]}" open265.mp4
ff "${pattern[@]}" -pix_fmt yuv420p -c:v libvpx-vp9 -g 4 -b:v 60k "${same[@]}" keys.webm

# what is refused
ff -f lavfi -i sine=d=0.2 -c:a aac -b:a 16k "${same[@]}" audio.mp4
ff -f lavfi -i sine=d=0.2 -c:a libvorbis "${same[@]}" audio.ogg
many=()
for i in $(seq 0 19); do many+=(-map 0:v); done
ff "${pattern[@]}" "${many[@]}" -frames:v 1 -s 16x16 -c:v mpeg4 "${same[@]}" many.mkv
ff -f lavfi -i color=s=16x16:d=0.1 -c:v huffyuv "${same[@]}" codec.avi
ff -f lavfi -i color=s=8192x4096:r=1:d=1 -c:v libx264 -qp 51 "${same[@]}" huge.mp4
ls -l
