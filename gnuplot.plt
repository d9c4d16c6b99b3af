# Plot the log of a run, with gnuplot 5.4 or newer:
#
#     gnuplot -c gnuplot.plt LOG [PICTURE]
#
# PICTURE ends in .png, .svg or .pdf; without it, x_log.txt is plotted to x_log.png. With the word
# dumb in its place, the plot is printed as text. The run may still be going on.

has(name) = strstrt(GPVAL_TERMINALS." ", " ".name." ") > 0
tail(text, n) = text[strlen(text) - n + 1 : *]
after(text, mark) = strstrt(text, mark) ? after(text[strstrt(text, mark) + 1 : *], mark) : text
# Some first characters are special to gnuplot ("<" and "|" run a command): then take the long way.
as_file(name) = strstrt("<|$+-~", name[1:1]) ? "./".name : name

if (ARGC < 1 || ARGC > 2 || ARG1 eq "") {
    print "usage: gnuplot -c gnuplot.plt LOG [PICTURE.png | PICTURE.svg | PICTURE.pdf | dumb]"
    exit status 2
}
log = as_file(ARG1)
picture = ARG2 ne "" ? as_file(ARG2) : (tail(log, 4) eq ".txt" ? log[1 : strlen(log) - 4] : log).".png"
dumb = picture eq "dumb"
kind = dumb ? picture : tail(picture, 4)
terminals = kind eq ".png" ? "pngcairo png" : kind eq ".svg" ? "svg" : kind eq ".pdf" ? "pdfcairo" : dumb ? "dumb" : ""
terminal = has(word(terminals, 1)) ? word(terminals, 1) : word(terminals, words(terminals))
others = (has("pngcairo") || has("png") ? " .png" : "").(has("svg") ? " .svg" : "").(has("pdfcairo") ? " .pdf" : "")
error = terminals eq "" ? "the name of the picture must end in .png, .svg or .pdf, or be the word dumb: ".picture \
        : has(terminal) ? "" \
        : "this gnuplot cannot write ".kind.", for lack of the terminal ".terminals."; it can write".others
if (error ne "") { print "gnuplot.plt: ".error; exit status terminals eq "" ? 2 : 1 }

# One pass copies the rows to $rows, so that all curves show the same state of a log that grows.
# Lines are read as a whole, with separators that no row has. A row has 8, 10 or 11 fields, the last
# one not cut; other lines become "#".
set encoding utf8
whole(field) = strlen(field) >= 14 || field eq "nan" || field eq "inf" || field eq "-inf"
is_row(line) = line[1:1] ne "#" && strstrt(" 8 10 11 ", sprintf(" %d ", words(line))) && whole(word(line, words(line)))
lines = rows = fields = 0
beta_1 = 0.9
take(line) = (lines = lines + 1, \
              beta_1 = rows == 0 && line[1:15] eq "# adam_beta_1: " ? real(line[16:*]) \
                       : line[1:23] eq "# Changed adam_beta_1: " ? real(word(line, words(line) - 1)) : beta_1, \
              !is_row(line) ? "#" : (rows = rows + 1, fields = words(line) > fields ? words(line) : fields, line))
set datafile commentschars "" separator "\"\\"
set samples 11
set table $rows
plot log using (take(strcol(1))) with table, "+" using ("#") with table  # "+": else no log is an error here
unset table
if (lines == 0) { exit status 1 }  # no log, or an empty one: gnuplot has said so
if (rows == 0) { print "gnuplot.plt: no rows yet in ".log; exit status 1 }
panels = fields == 8 ? 2 : 3
adam = fields == 11 ? 2 * (1 + beta_1) / (1 - beta_1) : 2  # the bound of lambda_max(alpha_eff*H), at least 2

# How many values of each column a log scale can show, and the range of them in each panel. The first
# rows of a run stand apart: in panels 2 and 3 the range begins anew with the fifth row, column(0) = 4.
set datafile commentschars "#" separator whitespace
min(a, b) = a < b ? a : b
max(a, b) = a > b ? a : b
array n[11] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
array low[3] = [1, 1, 2]; array high[3] = [1, 1, 2]  # where there are no values
array latest[3] = [-1, -1, -1]  # the row of the latest value
usable(k) = k != 10 && valid(k) && column(k) > 0 && column(k) < 1e300  # column 10, L, is not drawn
note(k, p) = !usable(k) ? 0 : (anew = latest[p] < (p > 1 && column(0) >= 4 ? 4 : 0), \
                               low[p] = anew ? column(k) : min(low[p], column(k)), \
                               high[p] = anew ? column(k) : max(high[p], column(k)), \
                               latest[p] = column(0), n[k] = n[k] + 1)
stats $rows using ((sum [k=2:11] note(k, k < 6 ? 1 : k < 9 ? 2 : 3)), column(1)) nooutput
first = STATS_min; last = STATS_max
low[3] = min(2, low[3]); high[3] = max(adam, high[3])  # the bounds are always in sight

name = after(after(log, "/"), "\\")
name = tail(name, 8) eq "_log.txt" && name ne "_log.txt" ? name[1 : strlen(name) - 8] : name
name = strlen(name) > 40 ? name[1:20]."...".tail(name, 17) : name
about = name.(first == last ? sprintf(", step %.0f", first) : sprintf(", steps %.0f to %.0f", first, last))

# The layout in lines of text: 13 for each panel, 3 above each and below all, and more above the largest key.
more = fields == 11 ? 2 : 0
lines = 3 + 16 * panels + more
upper(p) = 1 - (3. + 16 * (p - 1) + (p == 3 ? more : 0)) / lines
unit = dumb ? 1 : kind eq ".pdf" ? 0.2 : 20  # a line of text in characters, inches, pixels
size = dumb && !has("windows") ? system("stty size 2>/dev/null") : ""  # rows and columns of the terminal, if there is one
width = !dumb ? 50 * unit : words(size) == 2 && word(size, 2) >= 60 ? int(word(size, 2)) : 80
font = kind eq ".pdf" ? 16 : 13
options = dumb ? "noenhanced mono" : "enhanced background 'white' font ',".font."'".(kind eq ".png" ? " truecolor" : "")
eval "set terminal ".terminal." ".options." size width, lines * unit"

# Colours that colour-blind readers tell apart (Okabe and Ito). Marks, widths and the numbers at the
# bounds tell the curves apart without any; dashes alone would not do, as not every terminal has them.
colours = "- #0072B2 #E69F00 #009E73 #000000 #56B4E9 #0072B2 #D55E00 #CC79A7 #000000 #0072B2 #000000 #000000"
do for [k=2:13] {
    set style line k linetype k linewidth (k == 5 || k == 11 ? 5 : 2.5) linecolor rgb word(colours, k) \
        pointtype int(word("- 7 5 9 13 11 7 9 7 1 5 2 1", k)) pointsize (k == 5 ? 1.8 : 1.3)
}
array names[11] = ["", "content", "style", "TV", "total", "min", "mean", "max", "α_{eff,max} × L", "", "λ_{max}(α_{eff} H)"]
if (dumb) { names[8] = "alpha_eff max"; names[9] = "alpha_eff max * L"; names[11] = "lambda_max(alpha_eff * H)" }
array curves[3] = ["5 2 3 4", "8 7 6", "11 9"]  # in the order of drawing: the total is close to its largest part
array labels[3] = ["loss (weighted)", "learning rate α_{eff}", "α_{eff} × curvature"]

set xrange [first - (first == last) : last + (first == last)]
set xtics nomirror format ""
if (last - first < 8) { set xtics 1 }  # else there may be half steps
set logscale y
set ytics nomirror format (dumb ? "1e%T" : "10^{%T}")
set border 3 linecolor rgb "#444444"
set key at graph 0, graph (dumb ? 1.1 : 1.02) left bottom Left reverse horizontal samplen 3 width 2
if (!dumb) { set output picture; set key spacing 1.15; set grid xtics ytics linetype 1 linewidth 1 linecolor rgb "#DDDDDD" }
k(i) = i > words(drawn) ? 9 : int(word(drawn, i))  # the first turn of an empty loop is read, too
set multiplot title about noenhanced
do for [p=1:panels] {
    set margins at screen (dumb ? 12. / width : 0.1), at screen 0.96, at screen upper(p) - 13. / lines, at screen upper(p)
    drawn = ""
    do for [c in curves[p]] { drawn = drawn.(n[int(c)] > 0 ? " ".c : "") }
    unset label
    if (drawn eq "") { set label "no positive finite values" at graph 0.5, 0.5 center }
    adam_too = p == 3 && fields == 11
    if (adam_too) { set label sprintf("%g", adam) at graph 1.01, first adam offset 0, 0.3 }
    if (p == 3) { set label "2" at graph 1.01, first 2 offset 0, -0.3 }
    top = floor(log10(high[p])) + 1
    bottom = min(top - 2, floor(log10(low[p])))  # gnuplot 6 has linear tics in one decade
    set yrange [10. ** bottom : 10. ** top]
    set ytics 10. ** bottom, 10. ** ceil((top - bottom) / 9.), 10. ** top  # every decade, or less often
    set ylabel dumb ? (p == 1 ? "loss" : "") : labels[p]
    if (p == panels) { set xtics format "%.0f"; set xlabel "step" }
    plot for [i=1:words(drawn)] $rows using 1:(usable(k(i)) ? column(k(i)) : NaN) with linespoints linestyle k(i) \
             pointinterval (n[k(i)] > 20 ? rows / 10 : 1) title names[k(i)], \
         adam_too ? adam : NaN with linespoints linestyle 12 title adam_too ? sprintf("%g, the bound of Adam", adam) : "", \
         p == 3 ? 2 : NaN with lines linestyle 13 dashtype (9, 6) \
             title p == 3 ? "2, the bound of plain gradient descent (".(dumb ? "eta" : "η")." < 2/L)" : ""
}
unset multiplot
