# Three pictures of build/bench/datapath.csv: gnuplot -e "csv='…'; svg='…'". A line for each way of
# enforcing: median and quartiles of its ratio to no policy in the same round.
set terminal svg size 1200,560 font "sans-serif,12" background "white"
set output svg
set datafile separator "\t"
rows = int(system(sprintf("wc -l < %s", csv)))
set yrange [rows - 0.4:-0.6]
set xrange [*<0.8:1.05<*]
set xtics 0.1
set grid xtics lc rgb "#dddddd"
set border 3
set tics nomirror
set ytics scale 0
unset key
set bars 0.6
colour(title) = title[1:8] eq "podfence" ? 0xd95f02 : title[1:2] eq "no" || title[1:5] eq "empty" || title[1:4] eq "hand" ? 0x888888 : 0x7570b3
set multiplot layout 1,3 title "podfence: what a policy costs through real sockets, as a ratio to no policy (more is better)" font ",15" \
    margins 0.25,0.98,0.08,0.86 spacing 0.03
panel(n) = 2 + 3 * n
do for [n=0:2] {
    if (n == 0) { set title "new connections" }
    if (n == 1) { set title "round trips" }
    if (n == 2) { set title "datagrams" }
    set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc rgb "#888888" dt 2
    if (n == 0) {
        plot csv using panel(n):0:panel(n)+1:panel(n)+2:(colour(stringcolumn(1))):ytic(1) \
             with xerrorbars pt 7 ps 0.7 lw 2 lc rgb variable
    } else {
        set format y ""
        plot csv using panel(n):0:panel(n)+1:panel(n)+2:(colour(stringcolumn(1))) \
             with xerrorbars pt 7 ps 0.7 lw 2 lc rgb variable
    }
}
unset multiplot
