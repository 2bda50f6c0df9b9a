// Package chart draws bar charts as SVG, to be read on light and on dark ground and
// without telling colours apart: parts of a bar differ in lightness and pattern
// of their outline too, and each bar has its number beside it.
package chart

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Chart is horizontal bars in groups, each of one part or more.
type Chart struct {
	Title string
	// Axis says what the numbers are, with their unit.
	Axis string
	// Parts name the parts of each bar, from the left.
	Parts []string
	// Beside has the parts of a bar one above the other instead of in a row.
	Beside bool
	Groups []Group
	// Notes stand below: machine and versions.
	Notes []string
}

// Group is bars under one heading.
type Group struct {
	Name string
	Bars []Bar
}

// Bar is one bar. Values are one a part.
type Bar struct {
	Name   string
	Values []float64
	// Ours has its name stand out.
	Ours bool
}

// Sizes in pixels.
const (
	width     = 860
	left      = 225 // where bars begin
	right     = 90  // room for the number of the longest
	barHeight = 16
	gap       = 5
	heading   = 30
	line      = 17

	headingGap = 8
	noteLen    = 125 // characters of a note
)

// style is for both grounds; the colours are of Okabe and Ito's palette, which
// those who see few colours tell apart.
const style = `
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 16px; }
.group, .ours { font-weight: 600; }
.note, .tick { font-size: 11.5px; fill: #57606a; }
.grid { stroke: #d0d7de; }
.base { stroke: #57606a; }
.p0 { fill: #0072b2; }
.p1 { fill: #e69f00; }
.p2 { fill: #009e73; }
.ground { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.note, .tick { fill: #9da7b1; }
.grid { stroke: #30363d; }
.base { stroke: #9da7b1; }
.p0 { fill: #56b4e9; }
.p1 { fill: #e69f00; }
.p2 { fill: #009e73; }
.ground { fill: #0d1117; }
}
`

// barLen is how high a bar is.
func (c *Chart) barLen() int {
	if c.Beside {
		return barHeight * len(c.Parts) * 3 / 4
	}
	return barHeight
}

// height is that of the whole.
func (c *Chart) height() int {
	h := heading + line
	for _, g := range c.Groups {
		h += heading + headingGap + len(g.Bars)*(c.barLen()+gap)
	}
	return h + c.footer()
}

// footer is how high what stands below the bars is.
func (c *Chart) footer() int { return 3*line + line*len(c.notes()) + 10 }

// notes are c.Notes in lines that fit, broken at semicolons.
func (c *Chart) notes() (lines []string) {
	for _, n := range c.Notes {
		last := ""
		for part := range strings.SplitSeq(n, "; ") {
			switch {
			case last == "":
				last = part
			case len(last)+len(part) > noteLen:
				lines, last = append(lines, last+";"), part
			default:
				last += "; " + part
			}
		}
		lines = append(lines, last)
	}
	return lines
}

// longest is the length of the longest bar.
func (c *Chart) longest() (most float64) {
	for _, g := range c.Groups {
		for _, b := range g.Bars {
			most = max(most, c.length(b))
		}
	}
	return most
}

func (c *Chart) length(b Bar) (length float64) {
	for _, v := range b.Values {
		if c.Beside {
			length = max(length, v)
		} else {
			length += v
		}
	}
	return length
}

// WriteTo writes the chart.
func (c *Chart) WriteTo(w io.Writer) (int64, error) {
	d := &drawing{chart: c, step: step(c.longest())}
	d.scale = (width - left - right) / max(c.longest(), 1e-9)
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" role="img" aria-label="%s">`, width, c.height(), width, escape(c.Title))
	d.printf("\n<title>%s</title>\n<style>%s</style>\n", escape(c.Title), style)
	d.printf(`<rect class="ground" width="100%%" height="100%%"/>` + "\n")
	d.text(12, 24, "title", "start", c.Title)
	d.legend()
	d.grid()
	d.groups()
	notes := c.notes()
	for i, n := range notes {
		d.text(12, c.height()-10-line*(len(notes)-1-i), "note", "start", n)
	}
	d.printf("</svg>\n")
	n, err := io.WriteString(w, d.b.String())
	return int64(n), err
}

// drawing is a chart being drawn.
type drawing struct {
	chart *Chart
	b     strings.Builder
	scale float64 // pixels for 1
	step  float64 // from one line of the grid to the next
	y     int
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

func (d *drawing) text(x, y int, class, anchor, s string) {
	d.printf(`<text x="%d" y="%d" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escape(s))
}

// legend names the parts, where there is more than one.
func (d *drawing) legend() {
	d.y = heading + line
	if len(d.chart.Parts) < 2 {
		return
	}
	x := left
	for i, p := range d.chart.Parts {
		d.printf(`<rect x="%d" y="%d" width="12" height="12" class="p%d"/>`+"\n", x, d.y-11, i%3)
		d.text(x+17, d.y, "", "start", p)
		x += 40 + 8*len(p)
	}
}

// grid is the vertical lines with their numbers, and the axis's name.
func (d *drawing) grid() {
	c := d.chart
	top := d.y + 12
	bottom := c.height() - c.footer() + 4
	for i := 0; float64(i)*d.step*d.scale <= width-left-right+1; i++ {
		v := float64(i) * d.step
		x, class := left+int(v*d.scale), "grid"
		if i == 0 {
			class = "base"
		}
		d.printf(`<line x1="%[1]d" x2="%[1]d" y1="%[2]d" y2="%[3]d" class="%[4]s"/>`+"\n", x, top, bottom, class)
		d.text(x, bottom+line-2, "tick", "middle", number(v))
	}
	d.text(12, bottom+2*line, "tick", "start", c.Axis)
}

func (d *drawing) groups() {
	for _, g := range d.chart.Groups {
		d.y += heading
		d.text(12, d.y, "group", "start", g.Name)
		d.y += headingGap
		for _, b := range g.Bars {
			d.bar(b)
		}
	}
}

func (d *drawing) bar(b Bar) {
	c := d.chart
	class := ""
	if b.Ours {
		class = "ours"
	}
	height := c.barLen()
	d.text(left-8, d.y+height/2+5, class, "end", b.Name)
	x, y, each := float64(left), d.y, height
	if c.Beside {
		each = height / len(c.Parts)
	}
	for i, v := range b.Values {
		d.printf(`<rect x="%.1f" y="%d" width="%.1f" height="%d" class="p%d"><title>%s: %s</title></rect>`+"\n",
			x, y, v*d.scale, each-1, i%3, escape(c.Parts[i]), number(v))
		if c.Beside {
			d.text(left+int(v*d.scale)+6, y+each-1, "tick", "start", number(v))
			y += each
		} else {
			x += v * d.scale
		}
	}
	if !c.Beside {
		d.text(int(x)+6, d.y+height-3, class, "start", number(c.length(b)))
	}
	d.y += height + gap
}

// step is a round distance that gives four to eight lines.
func step(longest float64) float64 {
	if longest <= 0 {
		return 1
	}
	s := math.Pow(10, math.Floor(math.Log10(longest)))
	for _, f := range []float64{0.2, 0.5, 1} {
		if longest/(s*f) <= 8 {
			return s * f
		}
	}
	return s * 2
}

// number is v with three digits that count, and commas.
func number(v float64) string {
	switch {
	case v == math.Trunc(v) && v < 1000:
		return fmt.Sprintf("%.0f", v)
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	case v < 1000:
		return fmt.Sprintf("%.0f", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes all
	return b.String()
}
