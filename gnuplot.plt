# Plot the log of a run, with gnuplot 5.4 or newer; the run may still be going on. PICTURE ends in .png, .svg
# or .pdf; without it, x_log.txt is plotted to x_log.png. The word dumb in its place plots as text.
usage = "usage: gnuplot -c gnuplot.plt LOG [PICTURE.png | .svg | .pdf, if gnuplot has pdfcairo | dumb]"

if (ARGC < 1) { print usage; exit status 2 }
log = ARG1
picture = ARGC > 1 ? ARG2 : (log[strlen(log) - 3 : *] eq ".txt" ? log[1 : strlen(log) - 4] : log).".png"
ending = picture[strlen(picture) - 3 : *]
dumb = picture eq "dumb"

# All is drawn from $log: the rows that the log has now, NaN for what they lack, no remarks or blank lines.
# Column 12 counts the estimates; it is NaN where L and lambda_max are carried on from the row before.
file(name) = (strstrt("<|$-", name[1:1]) ? "./" : "").name  # these begin no file's name for gnuplot
row(k) = k > 11 ? "" : (valid(k) ? strcol(k) : "NaN")." ".row(k + 1)
count(row) = (before = now, now = word(row, 10).word(row, 11), now eq before ? NaN : (made = made + 1))
beta(k, value) = valid(value) && strcol(k) eq "adam_beta_1:" ? column(value) : beta_1
beta_1 = 0.9; now = ""; made = -1
set datafile commentschars ""  # beta_1 is in the header, and in a remark where a resume has changed it
set table $lines
plot "+" using ("") every ::::0 with table, \
     file(log) using (row(1)) with table if (beta_1 = beta(2, 3), beta_1 = beta(3, 8), valid(1) && valid(8))
unset table
set print $log
do for [i=1:|$lines|] { if (words($lines[i])) { print $lines[i], count($lines[i]) } }
set print
if (!|$log|) { print "no rows in ".log; exit status 1 }
adam = 2 * (1 + beta_1) / (1 - beta_1)  # the bound of lambda_max(alpha_eff*H)
late = |$log| > 4 ? 4 : 0  # the first rows of a run stand apart; the others set the scale
percent(p, k) = p / 100. * (column(k) > 0 ? column(k) : 1)  # for a range where all values are the same, or 0
stats $log using 1 name "step" nooutput
stats $log using (valid(11) ? 11 : valid(9) ? 9 : 8) name "last" nooutput
last = int(last_max)  # the last column to draw: 8, or 9 or 11 in a log with curvature
lines = last == 8 ? 35 : 53  # the height of the picture in lines of text

pixels = sprintf("size 1000, %d font ',13' background 'white'", 20 * lines)
terminal = dumb ? sprintf("dumb noenhanced mono size 80, %d", lines) \
         : ending eq ".png" ? (strstrt(GPVAL_TERMINALS, "pngcairo") ? "pngcairo " : "png ").pixels \
         : ending eq ".svg" ? "svg ".pixels \
         : ending eq ".pdf" ? sprintf("pdfcairo size 10, %g font ',16'", 0.2 * lines) : "none"
if (!strstrt(GPVAL_TERMINALS, word(terminal, 1))) { print "cannot draw ".picture."; ".usage; exit status 2 }
eval "set terminal ".terminal
if (!dumb) { set output file(picture); set grid linetype 1 linewidth 1 linecolor "#DDDDDD" }
set encoding utf8; set tics nomirror; set border 3 linecolor "#444444"
set xrange [step_min - (step_min == step_max) : step_max + (step_min == step_max)]
set format x ""; set format y "%h"
set key at graph 0, graph (dumb ? 1.1 : 1.02) left bottom Left reverse horizontal width 2 spacing 1.15
do for [k=1:16] { set linetype k linewidth 2.5 pointsize 1.3 pointinterval 1 + |$log| / 20 }  # Okabe and Ito
set multiplot title sprintf("%s, steps %.0f to %.0f", log[strlen(log)-45:*], step_min, step_max) noenhanced

# -------- the losses
set margins at screen 0.12, at screen 0.96, at screen 1 - 16. / lines, at screen 1 - 3. / lines
set ylabel "loss (weighted)"
set logscale y  # remove this line for losses on a linear scale
plot $log using 1:5 with linespoints linecolor "black" linewidth 5 pointtype 13 pointsize 1.8 title "total", \
     $log using 1:2 with linespoints linecolor "#0072B2" pointtype 7 title "content", \
     $log using 1:3 with linespoints linecolor "#E69F00" pointtype 5 title "style", \
     $log using 1:4 with linespoints linecolor "#009E73" pointtype 9 title "TV", \
     for [p=99:101:2] $log using 1:(percent(p, 5)) with lines linetype nodraw notitle

# -------- the effective learning rate: all rows are drawn, the late ones once more to set the scale
set margins at screen 0.12, at screen 0.96, at screen 1 - 32. / lines, at screen 1 - 19. / lines
set ylabel "learning rate α_{eff}"; set logscale y
if (last == 8) { set format x "%g"; set xlabel "step" }
plot $log using 1:8 with linespoints linecolor "#D55E00" pointtype 9 noautoscale title "max α_{eff}", \
     $log using 1:7 with linespoints linecolor "#0072B2" pointtype 7 noautoscale title "mean", \
     $log using 1:6 with linespoints linecolor "#56B4E9" pointtype 11 noautoscale title "min", \
     for [p=99:101:2] for [k=6:8] $log every ::late using 1:(percent(p, k)) with lines linetype nodraw notitle
if (last == 8) { exit }

# -------- curvature: steps, as a row without an estimate carries the last one on; marks at the estimates
set margins at screen 0.12, at screen 0.96, at screen 1 - 50. / lines, at screen 1 - 37. / lines
set ylabel "α_{eff} × curvature"; set format x "%g"; set xlabel "step"
set label "2" at graph 1.01, first 2 offset 0, -0.3
if (last == 11) { set label sprintf("%g", adam) at graph 1.01, first adam offset 0, 0.3 }
set linetype 9 linecolor "#CC79A7" pointtype 7; set linetype 11 linecolor "#0072B2" linewidth 5 pointtype 5
mark(k) = valid(12) && int($12) % (1 + made / 40) == 0 ? column(k) : NaN
plot for [k=last:9:-2] keyentry with linespoints linetype k \
         title k == 11 ? "λ_{max}(α_{eff} H)" : "α_{eff,max} × L", \
     for [k=last:9:-2] $log using 1:k with steps linetype k noautoscale notitle, \
     for [k=last:9:-2] $log every ::late using 1:k with steps linetype k notitle, \
     for [k=last:9:-2] $log using 1:(mark(k)) with points linetype k noautoscale notitle, \
     $log using 1:(last == 11 ? adam : NaN) with linespoints linecolor "black" pointtype 2 \
         title last == 11 ? sprintf("%g, the bound of Adam", adam) : "", \
     2 with lines linecolor "black" dashtype "-" title "2, the bound of plain gradient descent (η < 2/L)", \
     10 with lines linetype nodraw notitle  # a range even where all is 2, or less than 0
