# Plot the log of a run, with gnuplot 5.4 or newer; the run may still be going on. PICTURE ends in .png, .svg
# or .pdf; without it, x_log.txt is plotted to x_log.png. With the word dumb in its place it plots as text.
usage = "usage: gnuplot -c gnuplot.plt LOG [PICTURE.png | .svg | .pdf, if gnuplot has pdfcairo | dumb]"
if (ARGC < 1) { print usage; exit status 2 } else { log = ARG1 }
picture = ARGC > 1 ? ARG2 : (log[strlen(log) - 3 : *] eq ".txt" ? log[1 : strlen(log) - 4] : log).".png"
ending = picture[strlen(picture) - 3 : *]; dumb = picture eq "dumb"
file(name) = (strstrt("+-<|$~", name[1:1]) ? "./" : "").name  # else gnuplot would not open these as files

# -------- the log is read once: its rows go to $log, those with an estimate of the curvature to $marks, too
set datafile separator "\n"; set datafile commentschars ""  # whole lines, with the remarks
set table $text
plot file(log) using (strcol(1)) with table
unset table; set datafile separator whitespace
set print $marks; set print $log; beta_1 = 0.9; last = beta_1; step = 0; before = ""; grey = ""; new = ""
do for [i=1:|$text|] {
    row = $text[i]
    if (row[1:18] eq "# Resumed at step ") {
        if (real(word(row, 5)) > step) { last = beta_1; grey = grey.new }  # else no step came between
        step = real(word(row, 5)); beta_1 = last; new = ""  # it may lie past the last row
    }
    changed = strstrt(row, " in the checkpoint, ")  # the remark of a resume that changed a setting
    if (changed && |$log|) { new = sprintf(" %g", step + 0.5) }
    if (!|$log| && word(row, 2) eq "adam_beta_1:") { beta_1 = real(word(row, 3)); last = beta_1 }
    if (changed && word(row, 3) eq "adam_beta_1:") { beta_1 = real(word(row, 8)) }
    if (row[1:1] eq "#" || words(row) < 8) { continue }
    step = real(word(row, 1))
    adam = beta_1**step < 0.04 ? 2 * (1 + beta_1) / (1 - beta_1) : NaN  # Adam's bound; NaN before it holds
    while (words(row) < 11) { row = row." NaN" }  # without --optim
    print row, adam; last = beta_1; grey = grey.new; new = ""  # adam is column 12
    now = word(row, 10)." ".word(row, 11)  # L and lambda_max; rows without an estimate repeat them
    if (now ne before && now ne "NaN NaN") { set print $marks append; print row; set print $log append }
    before = now
}
set print; if (!|$log|) { print "no rows in ".log; exit status 1 }
xlabel = strlen(grey) ? "step (settings were changed at the grey lines)" : "step"
do for [x in grey] { set arrow from real(x), graph 0 rto 0, graph 1 nohead back lw 2 lc "#888888" }
late = |$log| > 4 ? 4 : 0  # the first rows of a run stand apart; the others set the scale
lines = |$marks| ? 53 : 35  # the height of the picture in lines of text

pixels = sprintf("size 1000, %d font ',13' background 'white'", 20 * lines)
terminal = dumb ? sprintf("dumb noenhanced mono size 80, %d", lines) \
         : ending eq ".png" ? (strstrt(GPVAL_TERMINALS, "pngcairo") ? "pngcairo " : "png ").pixels \
         : ending eq ".svg" ? "svg ".pixels \
         : ending eq ".pdf" ? sprintf("pdfcairo size 10, %g font ',16'", 0.2 * lines) : "none"
if (!strstrt(GPVAL_TERMINALS, word(terminal, 1))) { print "cannot draw ".picture."; ".usage; exit status 2 }
eval "set terminal ".terminal
if (!dumb) { set output file(picture); set grid linetype 1 linewidth 1 linecolor "#DDDDDD" }
set encoding utf8; set tics nomirror; set border 3 linecolor "#444444"
set xrange [word($log[1], 1) - 0.5 : step + 0.5]; set format x ""; set format y "%h"
set key at graph 0, graph (dumb ? 1.1 : 1.02) left bottom Left reverse horizontal width 2 spacing 1.15
do for [k=1:16] { set linetype k linewidth 2.5 pointsize 1.3 pointinterval 1 + |$log| / 20 }  # Okabe and Ito
set multiplot title sprintf("%s, steps %s to %.0f", log[strlen(log)-45:*], word($log[1], 1), step) noenhanced

# -------- the losses
set margins at screen 0.12, at screen 0.95, at screen 1 - 16. / lines, at screen 1 - 3. / lines
set ylabel "loss (weighted)"
set logscale y  # remove this line for losses on a linear scale
plot $log using 1:5 with linespoints linecolor "black" linewidth 5 pointtype 13 pointsize 1.8 title "total", \
     $log using 1:2 with linespoints linecolor "#0072B2" pointtype 7 title "content", \
     $log using 1:3 with linespoints linecolor "#E69F00" pointtype 5 title "style", \
     $log using 1:4 with linespoints linecolor "#009E73" pointtype 9 title "TV"

# -------- the effective learning rate: all rows are drawn, the late ones once more to set the scale
set margins at screen 0.12, at screen 0.95, at screen 1 - 32. / lines, at screen 1 - 19. / lines
set ylabel "learning rate α_{eff}"; set logscale y
if (!|$marks|) { set format x "%g"; set xlabel xlabel }
plot for [k=6:8] $log every ::late using 1:k with lines linetype nodraw notitle, \
     $log using 1:8 with linespoints linecolor "#D55E00" pointtype 9 noautoscale title "max α_{eff}", \
     $log using 1:7 with linespoints linecolor "#0072B2" pointtype 7 noautoscale title "mean", \
     $log using 1:6 with linespoints linecolor "#56B4E9" pointtype 11 noautoscale title "min"
if (!|$marks|) { exit }

# -------- curvature: steps, as a row without an estimate carries the last one on; marks at the estimates
set margins at screen 0.12, at screen 0.95, at screen 1 - 50. / lines, at screen 1 - 37. / lines
set ylabel "α_{eff} × curvature"; set format x "%g"; set xlabel xlabel
if (adam > 0) { set label sprintf("%g", adam) at graph 1.01, first adam }
set linetype 9 linecolor "#CC79A7" pointtype 7; set linetype 11 linecolor "#0072B2" linewidth 5 pointtype 5
set linetype 12 linecolor "black"; set linetype 13 linecolor "black" linewidth 1 dashtype "-"
plot for [k=11:9:-2] keyentry with linespoints linetype k \
         title k == 11 ? "λ_{max}(α_{eff} H)" : "α_{eff,max} × L", \
     for [k=11:9:-2] $log using 1:k with steps linetype k noautoscale notitle, \
     for [k=11:9:-2] $log every ::late using 1:k with steps linetype k notitle, \
     for [k=11:9:-2] $marks every 1 + |$marks| / 41 using 1:k with points linetype k noautoscale notitle, \
     $log using 1:12 with fsteps linetype 12 title "2 (1 + β_1) / (1 - β_1), Adam's bound if β_1^t < 0.04", \
     2 with lines linetype 13 title "2, that of plain gradient descent (η < 2/L)"
