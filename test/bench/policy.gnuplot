# Four pictures of build/bench/policy.csv: gnuplot -e "csv='…'; svg='…'; sizes='100 1000 10000'"
# with the numbers of policies, a line each. Targets are dashed.
set terminal svg size 1100,860 font "sans-serif,13" background "white"
set output svg
set datafile separator ","
set logscale xy
set grid xtics ytics lc rgb "#dddddd"
set border 3
set tics nomirror
set xlabel "pods in the cluster"
set xrange [800:130000]
set xtics ("1,000" 1000, "10,000" 10000, "100,000" 100000)
set format y "%g"
set key bottom right reverse Left samplen 2 spacing 1.1
array colours[3] = ["#1b9e77", "#7570b3", "#d95f02"]
rows(n) = sprintf("< awk -F, 'NR > 1 && $2 == %s' %s", word(sizes, n), csv)
commas(n) = strlen(n) > 3 ? n[1:strlen(n) - 3] . "," . n[strlen(n) - 2:] : n
named(n) = commas(word(sizes, n)) . " policies"
set multiplot layout 2,2 title "podfence: the policy engine of one node with 110 pods" font ",17"

set title "everything compiled and applied once"
set ylabel "ms"
set yrange [10:5000]
plot for [n=1:words(sizes)] rows(n) using 1:3 with linespoints lw 2 pt 7 ps 0.7 lc rgb colours[n] \
         title named(n), \
     2000 with lines dt 2 lc rgb "#888888" title "target at 100,000 pods, 10,000 policies"

set title "resident memory once loaded"
set ylabel "MB"
set yrange [5:500]
plot for [n=1:words(sizes)] rows(n) using 1:4 with linespoints lw 2 pt 7 ps 0.7 lc rgb colours[n] \
         title named(n), \
     64 with lines dt 2 lc rgb "#888888" title "target"

set key top left
set title "one pod added: another node's (solid), this node's (thin)"
set ylabel "ms, median"
set yrange [0.01:1000]
plot for [n=1:words(sizes)] rows(n) using 1:6 with linespoints lw 2 pt 7 ps 0.7 lc rgb colours[n] \
         title named(n), \
     for [n=1:words(sizes)] rows(n) using 1:9 with linespoints lw 1 pt 6 ps 0.7 lc rgb colours[n] \
         notitle, \
     1 with lines dt 2 lc rgb "#888888" title "target"

set title "one policy changed: of pods here (solid), a new ipBlock over pods (thin)"
set ylabel "ms, median"
set yrange [0.01:10000]
plot for [n=1:words(sizes)] rows(n) using 1:11 with linespoints lw 2 pt 7 ps 0.7 lc rgb colours[n] \
         title named(n), \
     for [n=1:words(sizes)] rows(n) using 1:13 with linespoints lw 1 pt 6 ps 0.7 lc rgb colours[n] \
         notitle, \
     10 with lines dt 2 lc rgb "#888888" title "target"
unset multiplot
