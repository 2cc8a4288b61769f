// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/console"
	"calleridp/provider/funnel"
)

type overviewPage struct {
	Ranges []timeRange
	Tiles  []Fact
	Volume chart
	Took   chart
	Spread chart
	Steps  []step
	Ends   []end
	None   string // why there is nothing to show; "" if there is something
	NoEnds string // what there is to say in place of Ends
	Health []Fact
}

type timeRange struct {
	Key, Name string
	Here      bool

	unit  funnel.Unit
	n     int    // periods
	label string // of a row of the table
	axis  string // below the chart
}

var ranges = []timeRange{
	{Key: "24h", Name: "24 hours", unit: funnel.Hour, n: 24, label: "15:04", axis: "15:04"},
	{Key: "7d", Name: "7 days", unit: funnel.Hour, n: 7 * 24, label: "2 Jan 15:04", axis: "2 Jan"},
	{Key: "90d", Name: "90 days", unit: funnel.Day, n: 90, label: "2 Jan", axis: "2 Jan"},
}

type step struct {
	Name, N, Share string
	Width          int // of 100
}

type end struct{ Step, Reason, Method, N string }

// overview shows the funnel and the health, which are no operations of the API, to those who
// may read the status. It sends others to the first page that they may see.
func (h *handler) overview(w http.ResponseWriter, r *http.Request, s console.Session) error {
	if may := (view{Operator: &s}).May; !may("status:read") {
		for _, n := range navigation {
			if may(string(n.scope)) {
				return done(w, r, n.path, "")
			}
		}
		h.page(w, r, &s, http.StatusForbidden, "message", view{Title: "Nothing to see here", Page: message{
			Text: "Your API key has no scope that a page of the console needs, such as clients:read. Use it with the API."}})
		return nil
	}
	p := overviewPage{Ranges: slices.Clone(ranges)}
	chosen := max(0, slices.IndexFunc(p.Ranges, func(t timeRange) bool { return t.Key == r.URL.Query().Get("range") }))
	p.Ranges[chosen].Here = true
	series, err := h.series(r, p.Ranges[chosen])
	if err != nil {
		return err
	}
	var total funnel.Tally
	for _, period := range series {
		total = total.Plus(period.Tally)
	}
	label := func(at time.Time) string { return at.Format(p.Ranges[chosen].label) }
	axis := func(at time.Time) string { return at.Format(p.Ranges[chosen].axis) }
	if p.Ranges[chosen].Key == "7d" {
		series = sixHours(series)
	}
	p.Volume, p.Took, p.Spread = volume(series, label, axis), took(series, label, axis), spread(total)
	p.Tiles, p.Steps, p.Ends = tilesOf(total), stepsOf(total), endsOf(total)
	if p.None, err = h.none(r, total); err != nil {
		return err
	}
	p.NoEnds = noEnds(total)
	if p.Health, err = h.health(r, s); err != nil {
		return err
	}
	h.page(w, r, &s, http.StatusOK, "overview", view{Title: "Overview", Page: p})
	return nil
}

// none says why nothing was counted in a range, "" if something was.
func (h *handler) none(r *http.Request, total funnel.Tally) (string, error) {
	if !total.Empty() {
		return "", nil
	}
	longest, err := h.series(r, ranges[len(ranges)-1])
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(longest, func(p funnel.Period) bool { return !p.Empty() }) {
		return "No sign-ins in this time.", nil
	}
	return "No sign-ins yet. Counts go back 90 days at most.", nil
}

// noEnds says what became of sign-ins of which none ended without success.
func noEnds(total funnel.Tally) string {
	started, finished := total.N(funnel.Started, ""), total.N(funnel.Finished, "")
	switch {
	case started == 0 && finished == 0:
		return "No sign-in began in this time."
	case finished >= started:
		return "All finished."
	}
	return fmt.Sprintf("%d of %d finished. No other end was counted.", finished, started) // they wait, or ended while no server ran
}

// series returns every period of a range, also those without a count.
func (h *handler) series(r *http.Request, t timeRange) ([]funnel.Period, error) {
	end := t.unit.Of(time.Now()).Add(t.unit.Length())
	start := end.Add(-time.Duration(t.n) * t.unit.Length())
	stored, err := h.cfg.Funnel.Funnel(r.Context(), t.unit, start, end)
	if err != nil {
		return nil, err
	}
	all := make([]funnel.Period, t.n)
	for i := range all {
		all[i] = funnel.Period{Unit: t.unit, Start: start.Add(time.Duration(i) * t.unit.Length())}
	}
	for _, p := range stored {
		if i := int(p.Start.Sub(start) / t.unit.Length()); i >= 0 && i < len(all) {
			all[i].Tally = p.Tally
		}
	}
	return all, nil
}

// sixHours adds up six hours each: a week of hours is too many bars for a phone.
func sixHours(hours []funnel.Period) (all []funnel.Period) {
	for some := range slices.Chunk(hours, 6) {
		sum := some[0]
		for _, p := range some[1:] {
			sum.Tally = sum.Tally.Plus(p.Tally)
		}
		all = append(all, sum)
	}
	return all
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func percent(n, of uint64) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(of))
}

func tilesOf(t funnel.Tally) []Fact {
	started := t.N(funnel.Started, "")
	half, nine := "–", ""
	if within, ok := t.Quantile(.5, ""); ok {
		half = spell(within)
	}
	if within, ok := t.Quantile(.9, ""); ok {
		nine = "9 of 10 in " + spell(within)
	}
	return []Fact{
		{Name: "Started", Value: number(started)},
		{Name: "Finished", Value: number(t.N(funnel.Finished, "")), Note: percent(t.N(funnel.Finished, ""), started)},
		{Name: "Declined", Value: number(t.N(funnel.Declined, "")), Note: percent(t.N(funnel.Declined, ""), started)},
		{Name: "Expired", Value: number(t.N(funnel.Expired, "")), Note: percent(t.N(funnel.Expired, ""), started)},
		{Name: "Failed", Value: number(t.N(funnel.Failed, "")), Note: percent(t.N(funnel.Failed, ""), started)},
		{Name: "Limited", Value: number(t.N(funnel.Limited, "")), Note: "before the start"},
		{Name: "Half within", Value: half, Note: nine},
	}
}

func stepsOf(t funnel.Tally) (steps []step) {
	started := t.N(funnel.Started, "")
	if started == 0 {
		return nil
	}
	for _, s := range []struct {
		step funnel.Step
		name string
	}{
		{funnel.Started, "Started"}, {funnel.Pushed, "Pushed to the phone"}, {funnel.Opened, "Opened on the phone"},
		{funnel.Returned, "Came back from Truecaller"}, {funnel.Approved, "Approved"}, {funnel.Finished, "Finished"},
	} {
		n := t.N(s.step, "")
		steps = append(steps, step{s.name, number(n), percent(n, started), int(min(100, 100*n/started))})
	}
	return steps
}

// endNames are the ends without success, and the tries that did not start.
var endNames = map[funnel.Step]string{
	funnel.Declined: "Declined", funnel.Failed: "Failed", funnel.Expired: "Expired",
	funnel.Limited: "Refused by limits", funnel.Unavailable: "Truecaller not answering",
}

func endsOf(t funnel.Tally) (ends []end) {
	lines := slices.Clone(t.Lines)
	slices.SortStableFunc(lines, func(a, b funnel.Line) int { return cmp.Compare(b.N, a.N) })
	for _, l := range lines {
		if name, ok := endNames[l.Step]; ok {
			ends = append(ends, end{name, strings.ReplaceAll(l.Reason, "_", " "), l.Method, number(l.N)})
		}
	}
	return ends
}

// health returns what the server says of itself, and what the operator may see of keys and
// notices.
func (h *handler) health(r *http.Request, s console.Session) ([]Fact, error) {
	facts := h.cfg.Health(r.Context())
	v := view{Operator: &s}
	if v.May("notices:read") {
		receivers, err := all(r.Context(), 10_000, h.cfg.API.ListNotices)
		if err != nil {
			return nil, err
		}
		waiting, failing := 0, 0
		for _, one := range receivers {
			waiting += one.Waiting
			if one.Failures > 0 {
				failing++
			}
		}
		f := Fact{Name: "Logout notices", Value: fmt.Sprintf("%d waiting", waiting)}
		if failing > 0 {
			f.Bad, f.Note = true, fmt.Sprintf("%d clients cannot be reached", failing)
		}
		facts = append(facts, f)
	}
	if v.May("keys:read") {
		list, err := h.cfg.API.ListKeys(r.Context(), nil)
		if err != nil {
			return nil, err
		}
		for _, k := range list.Body.Items {
			if k.State == "active" {
				facts = append(facts, Fact{Name: "Key for " + k.Algorithm, Value: "active", Good: true, Note: "since " + shownTime(k.Activated)})
			}
		}
	}
	return facts, nil
}
