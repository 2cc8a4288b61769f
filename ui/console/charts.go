// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"calleridp/provider/funnel"
)

// chart is a picture, and the numbers in it as a table: what a screen reader gets, and who
// wants to know exactly.
type chart struct {
	SVG     template.HTML
	Title   string
	Columns []string
	Rows    [][]string
}

// The measures of a chart, in units of its viewBox.
const (
	chartWidth, chartHeight = 560, 232
	chartLeft, chartRight   = 60, 8
	chartTop, chartBottom   = 18, 38
)

// drawing is an SVG under construction. All that is written to it comes from numbers and
// from texts of this package.
type drawing struct {
	b    strings.Builder
	n    int     // slots along the time
	most float64 // at the top
}

func newDrawing(label string, n int, most float64, unit func(float64) string) *drawing {
	d := &drawing{n: max(n, 1), most: roundUp(most)}
	fmt.Fprintf(&d.b, `<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight, template.HTMLEscapeString(label))
	const lines = 4
	for i := range lines + 1 {
		value := d.most * float64(i) / lines
		y := d.y(value)
		fmt.Fprintf(&d.b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, chartLeft, chartWidth-chartRight, y, y)
		fmt.Fprintf(&d.b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`, chartLeft-6, y+4, unit(value))
	}
	return d
}

// roundUp returns a number at which four even lines are whole numbers.
func roundUp(most float64) float64 {
	for step := 4.0; ; step *= 10 {
		for _, times := range []float64{1, 2, 3, 5, 10} {
			if most <= step*times {
				return step * times
			}
		}
	}
}

func (d *drawing) y(value float64) float64 {
	return chartTop + (chartHeight-chartTop-chartBottom)*(1-value/d.most)
}

func (d *drawing) slot() float64 { return float64(chartWidth-chartLeft-chartRight) / float64(d.n) }

func (d *drawing) x(i int) float64 { return chartLeft + d.slot()*float64(i) }

func (d *drawing) bar(class string, i int, value float64) {
	if value <= 0 {
		return
	}
	gap := min(d.slot()*.15, 3)
	y := d.y(value)
	fmt.Fprintf(&d.b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="1"/>`,
		class, d.x(i)+gap, y, d.slot()-2*gap, chartHeight-chartBottom-y)
}

// line joins the values that there are; ok says which.
func (d *drawing) line(class, point string, values []float64, ok []bool) {
	var path strings.Builder
	drawn := false
	for i, value := range values {
		if !ok[i] {
			drawn = false
			continue
		}
		command := "L"
		if !drawn {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, d.x(i)+d.slot()/2, d.y(min(value, d.most)))
		drawn = true
	}
	fmt.Fprintf(&d.b, `<path class="%s" d="%s"/>`, class, path.String())
	for i, value := range values {
		if ok[i] {
			fmt.Fprintf(&d.b, `<circle class="%s" cx="%.1f" cy="%.1f" r="2.5"/>`, point, d.x(i)+d.slot()/2, d.y(min(value, d.most)))
		}
	}
}

// labels writes about six of the labels below the slots.
func (d *drawing) labels(labels []string) {
	every := max(1, (len(labels)+5)/6)
	for i := 0; i < len(labels); i += every {
		fmt.Fprintf(&d.b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			d.x(i)+d.slot()/2, chartHeight-8, template.HTMLEscapeString(labels[i]))
	}
}

func (d *drawing) done() template.HTML { return template.HTML(d.b.String() + "</svg>") }

func count(value float64) string {
	if value >= 10_000 {
		return fmt.Sprintf("%.4gk", value/1000)
	}
	return fmt.Sprintf("%.0f", value)
}

// spell writes a duration of whole seconds for people.
func spell(d time.Duration) string {
	if d >= 2*time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// volume draws how many sign-ins started and finished.
func volume(series []funnel.Period, label, axis func(time.Time) string) chart {
	c := chart{Title: "Sign-ins, by the time of the step (UTC)", Columns: []string{"Time", "Started", "Approved", "Finished"}}
	most, started, finished := 0.0, uint64(0), uint64(0)
	for _, p := range series {
		most = max(most, float64(p.N(funnel.Started, "")), float64(p.N(funnel.Finished, "")))
		started, finished = started+p.N(funnel.Started, ""), finished+p.N(funnel.Finished, "")
	}
	d := newDrawing(fmt.Sprintf("Bar chart: %d sign-ins started and %d finished. The table below has the numbers.", started, finished), len(series), most, count)
	var labels []string
	for i, p := range series {
		d.bar("a", i, float64(p.N(funnel.Started, "")))
		d.bar("b", i, float64(p.N(funnel.Finished, "")))
		labels = append(labels, axis(p.Start))
		if !p.Empty() {
			c.Rows = append(c.Rows, []string{label(p.Start), number(p.N(funnel.Started, "")), number(p.N(funnel.Approved, "")), number(p.N(funnel.Finished, ""))})
		}
	}
	d.labels(labels)
	c.SVG = d.done()
	return c
}

// took draws within which time half and nine of ten approvals came.
func took(series []funnel.Period, label, axis func(time.Time) string) chart {
	c := chart{Title: "Time from the start to the approval, at most", Columns: []string{"Time", "Half within", "Nine of ten within"}}
	half, most := make([]float64, len(series)), make([]float64, len(series))
	hasHalf, hasMost := make([]bool, len(series)), make([]bool, len(series))
	top := 8.0
	for i, p := range series {
		row := []string{label(p.Start), "", ""}
		for j, q := range []struct {
			share  float64
			values []float64
			has    []bool
		}{{.5, half, hasHalf}, {.9, most, hasMost}} {
			within, ok := p.Quantile(q.share, "")
			switch {
			case ok:
				row[j+1] = spell(within)
			case p.N(funnel.Approved, "") > 0:
				within, ok = funnel.Bounds[len(funnel.Bounds)-1], true
				row[j+1] = "longer than " + spell(within)
			}
			q.values[i], q.has[i] = within.Seconds(), ok
			top = max(top, within.Seconds())
		}
		if hasHalf[i] {
			c.Rows = append(c.Rows, row)
		}
	}
	d := newDrawing("Line chart: the time within which half and nine of ten approvals came. The table below has the numbers.", len(series), top,
		func(seconds float64) string { return fmt.Sprintf("%.0f s", seconds) })
	d.line("lb", "pb", most, hasMost)
	d.line("la", "pa", half, hasHalf)
	var labels []string
	for _, p := range series {
		labels = append(labels, axis(p.Start))
	}
	d.labels(labels)
	c.SVG = d.done()
	return c
}

// spread draws how the durations of approvals are distributed.
func spread(total funnel.Tally) chart {
	c := chart{Title: "Approvals by the time from the start", Columns: []string{"Time", "Approvals"}}
	counts := total.Durations("")
	most := 0.0
	for _, n := range counts {
		most = max(most, float64(n))
	}
	d := newDrawing("Bar chart: how many approvals took how long. The table below has the numbers.", len(counts), most, count)
	var labels []string
	for i, n := range counts {
		d.bar("b", i, float64(n))
		label := "longer"
		if i < len(funnel.Bounds) {
			label = "≤ " + spell(funnel.Bounds[i])
		}
		labels = append(labels, label)
		if n > 0 {
			c.Rows = append(c.Rows, []string{label, number(n)})
		}
	}
	d.labels(labels)
	c.SVG = d.done()
	return c
}
