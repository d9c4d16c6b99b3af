# Plot the log of a run, with gnuplot 5.4 or newer:
#
#     gnuplot -c gnuplot.plt LOG [PICTURE]
#
# PICTURE ends in .png, .svg or .pdf; without it, x_log.txt is plotted to x_log.png. With the word
# dumb in its place, the plot is printed as text. The run may still be going on.

complain(text) = "gnuplot.plt: ".text
has(name) = strstrt(GPVAL_TERMINALS." ", " ".name." ") > 0
tail(text, n) = text[strlen(text) - n + 1 : *]
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
if (terminals eq "") {
    print complain("the name of the picture must end in .png, .svg or .pdf, or be the word dumb: ".picture)
    exit status 2
}
terminal = ""
do for [name in terminals] { if (terminal eq "" && has(name)) { terminal = name } }
if (terminal eq "") {
    print complain("this gnuplot cannot write ".kind.", for lack of the terminal ".terminals."; it can write" \
                   .(has("pngcairo") || has("png") ? " .png" : "").(has("svg") ? " .svg" : "").(has("pdfcairo") ? " .pdf" : ""))
    exit status 1
}

# ----------------------------------------------------------------------------------- data
# One pass copies the rows to $rows, so that all curves show the same state of a log that grows.
# Lines are read as a whole, with separators that no row has. A row has 8 or 10 fields, the last one
# not cut; other lines become "#".

set encoding utf8
whole(field) = strlen(field) >= 14 || field eq "nan" || field eq "inf" || field eq "-inf"
is_row(line) = line[1:1] ne "#" && (words(line) == 8 || words(line) == 10) && whole(word(line, words(line)))
lines = 0
rows = 0
panels = 2
take(line) = (lines = lines + 1, \
              !is_row(line) ? "#" : (rows = rows + 1, panels = words(line) == 10 ? 3 : panels, line))

set datafile commentschars ""
set datafile separator "\"\\"
set samples 2
set table $rows
plot log using (take(strcol(1))) with table, "+" using ("#") with table  # "+": else no log is an error here
unset table
if (lines == 0) { exit status 1 }  # no log, or an empty one: gnuplot has said so
if (rows == 0) {
    print complain("no rows yet in ".log)
    exit status 1
}

# ---------------------------------------------------------------------------------- title
# From the header: "# Content: NAME, 12 bytes, SHA-256 12ab, 3 x 4 pixels", NAME quoted for the shell
# where need be. gnuplot ends a string column at " and drops \ from it, hence an entry is read as
# columns and put together again: once with " and \ as the separators, \ standing for either, and
# once with " alone, which is right if no \ gets lost. (Blanks after either do get lost.)

content = ""
style = ""
entry(k) = tail(strcol(k), 7) eq " pixels" || k > 200 ? strcol(k) : strcol(k).joint.entry(k + 1)
longer(old, new) = strlen(new) >= strlen(old) ? new : old
find(line) = (content = line[1:11] eq "# Content: " ? longer(content, entry(1)[12:*]) : content, \
              style = line[1:9] eq "# Style: " ? longer(style, entry(1)[10:*]) : style, line)
set table $header
array separators[2] = ["\"\\", "\""]
do for [i=1:2] {
    set datafile separator separators[i]
    joint = tail(separators[i], 1)
    plot log using (find(strcol(1))) with table
}
unset table

name_of(entry) = up_to_comma(entry[1 : strstrt(entry, " bytes, SHA-256 ") - 1])
up_to_comma(text) = text eq "" || tail(text, 1) eq "," ? text[1 : strlen(text) - 1] : up_to_comma(text[1 : strlen(text) - 1])
# A ' within '...' is '"'"'.
swap(text, old, new) = strstrt(text, old) ? text[1 : strstrt(text, old) - 1].new \
                       .swap(text[strstrt(text, old) + strlen(old) : *], old, new) : text
unquoted(text) = swap(swap(text, "'\"'\"'", "'"), "'\\'\\'", "'")
base(name, separator) = strstrt(name, separator) ? base(name[strstrt(name, separator) + 1 : *], separator) : name
bare(name) = name[1:2] eq "$'" ? base(name[3 : strlen(name) - 1], "/") \
           : base(base(name[1:1] eq "'" ? unquoted(name[2 : strlen(name) - 1]) : name, "/"), "\\")
limit = dumb ? 20 : 36
short(name) = strlen(name) > limit ? name[1 : limit / 2]."...".tail(name, limit / 2 - 3) : name

# --------------------------------------------------------------------------------- ranges
# Of each column: how many values a log scale can show, and their range.

set datafile commentschars "#"
set datafile separator whitespace
array n[9]
array low[9]
array high[9]
do for [k=2:9] { n[k] = 0; low[k] = 1e300; high[k] = 0 }
usable(k) = valid(k) && column(k) > 0 && column(k) < 1e300
note(k) = usable(k) ? (n[k] = n[k] + 1, \
                       low[k] = column(k) < low[k] ? column(k) : low[k], \
                       high[k] = column(k) > high[k] ? column(k) : high[k]) : 0
stats $rows using (note(2) + note(3) + note(4) + note(5) + note(6) + note(7) + note(8) + note(9), column(1)) nooutput
first = STATS_min
last = STATS_max

about = (content eq "" || style eq "" ? short(base(log, "/")) \
         : "Content ".short(bare(name_of(content))).", style ".short(bare(name_of(style)))) \
        .(first == last ? sprintf(", step %.0f", first) : sprintf(", steps %.0f to %.0f", first, last))

# --------------------------------------------------------------------------------- layout

if (dumb) {
    # stty tells the rows and columns of the terminal, if there is one.
    size = has("windows") ? "" : system("stty size 2>/dev/null")
    width = words(size) == 2 && word(size, 2) >= 60 ? int(word(size, 2)) : 80
    height = 3 + 16 * panels
    set terminal dumb noenhanced mono size width, height
} else {
    width = 1000
    height = 120 + 290 * panels
    options = terminal eq "png" ? "truecolor" : terminal eq "pdfcairo" ? "color" : "background 'white'"
    inch = terminal eq "pdfcairo" ? 100. : 1
    fonts = terminal eq "pdfcairo" ? ",16" : ",13"
    eval "set terminal ".terminal." enhanced ".options." font fonts size width / inch, height / inch"
    set output picture
}
alpha = dumb ? "alpha_eff" : "α_{eff}"
eta = dumb ? "eta" : "η"

# Colours that colour-blind readers tell apart (Okabe and Ito). Marks and widths tell the curves
# apart without any; dashes would not do, as not every terminal has them.
do for [k=2:9] {
    set style line k linetype k linecolor rgb word(". #0072B2 #E69F00 #009E73 #000000 #56B4E9 #0072B2 #D55E00 #CC79A7", k) \
        linewidth (k == 5 ? 5 : 2.5) pointtype int(word(". 7 5 9 13 11 7 9 7", k)) pointsize (k == 5 ? 1.8 : 1.3)
}
array names[9] = ["", "content", "style", "TV", "total", "min", "mean", dumb ? alpha." max" : "max", dumb ? alpha." max * L" : ""]
array curves[3] = ["5 2 3 4", "8 7 6", "9"]  # in the order of drawing: the total is close to its largest part
array labels[3] = [dumb ? "loss" : "loss (weighted)", dumb ? "" : "learning rate ".alpha, dumb ? "" : alpha." max × L"]

set xrange [first - (first == last) : last + (first == last)]
set xtics nomirror format ""
if (last - first < 8) { set xtics 1 }  # else there may be half steps
set logscale y
set ytics nomirror format (dumb ? "1e%T" : "10^{%T}")
set border 3 linecolor rgb "#444444"
if (!dumb) { set grid xtics ytics linetype 1 linewidth 1 linecolor rgb "#DDDDDD" }
line = (dumb ? 1. : 20.) / height  # of text
set key at graph 0, graph (dumb ? 1.1 : 1.02) left bottom Left reverse horizontal samplen 3 width 2

k(i) = i > words(drawn) ? 9 : int(word(drawn, i))  # the first turn of an empty loop is read, too
set multiplot layout panels,1 title about noenhanced \
    margins (dumb ? 12. / width : 0.1), 0.96, 3 * line, 1 - 3 * line spacing 0, (dumb ? 3 : 2) * line
do for [p=1:panels] {
    bottom = p == 3 ? 2 : 1e300  # panel 3 shows the line at 2
    top = p == 3 ? 2 : 0
    drawn = ""
    do for [name in curves[p]] {
        c = int(name)
        if (n[c] > 0) {
            drawn = drawn." ".name
            bottom = low[c] < bottom ? low[c] : bottom
            top = high[c] > top ? high[c] : top
        }
    }
    unset label
    if (top == 0) {
        bottom = 1
        top = 1
        set label "no positive finite values" at graph 0.5, 0.5 center
    }
    bottom = floor(log10(bottom))
    top = floor(log10(top)) + 1
    if (top - bottom < 2) { bottom = top - 2 }  # in one decade gnuplot 6 counts the tics as on a linear axis
    set yrange [10. ** bottom : 10. ** top]
    set ytics 10. ** bottom, 10. ** ceil((top - bottom) / 9.), 10. ** top  # every decade, or less often
    set ylabel labels[p]
    if (p == panels) { set xtics format "%.0f"; set xlabel "step" }
    plot for [i=1:words(drawn)] $rows using 1:(usable(k(i)) ? column(k(i)) : NaN) with linespoints linestyle k(i) \
             pointinterval (n[k(i)] > 20 ? rows / 10 : 1) title names[k(i)], \
         p == 3 ? 2 : NaN with lines linewidth 2 linecolor rgb "#000000" dashtype (9, 6) \
             title p == 3 ? "2, the bound of plain gradient descent (".eta." < 2/L)" : ""
}
unset multiplot
