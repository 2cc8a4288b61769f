// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/funnel"
	"calleridp/ui"
	pages "calleridp/ui/console"
	"calleridp/ui/pagetest"
)

// days is a funnel with one tally, so many days ago.
type days struct {
	ago   int
	tally funnel.Tally
}

func (d days) Funnel(_ context.Context, unit funnel.Unit, from, to time.Time) ([]funnel.Period, error) {
	start := unit.Of(time.Now().AddDate(0, 0, -d.ago))
	if d.tally.Empty() || start.Before(from) || !start.Before(to) {
		return nil, nil
	}
	return []funnel.Period{{Unit: unit, Start: start, Tally: d.tally}}, nil
}

// The overview says what is true in each state: before the first sign-in, in a range without
// one, while some are under way, and when all have finished.
func TestOverviewSaysWhatIsTrue(t *testing.T) {
	line := func(step funnel.Step, n uint64) funnel.Line { return funnel.Line{Step: step, Method: "push", N: n} }
	const never, notNow, all = "No sign-ins yet.", "No sign-ins in this time.", "All finished."
	for what, row := range map[string]struct {
		funnel days
		path   string
		want   []string
		not    []string
	}{
		"new":               {days{}, "", []string{never}, []string{all, notNow, "<rect class=\"b\" x="}},
		"new, 90 days":      {days{}, "?range=90d", []string{never}, []string{all}},
		"a month ago":       {days{30, funnel.Tally{Lines: []funnel.Line{line(funnel.Started, 1), line(funnel.Finished, 1)}}}, "", []string{notNow}, []string{all, never}},
		"seen over 90 days": {days{30, funnel.Tally{Lines: []funnel.Line{line(funnel.Started, 1), line(funnel.Finished, 1)}}}, "?range=90d", []string{all}, []string{never, notNow}},
		"under way":         {days{0, funnel.Tally{Lines: []funnel.Line{line(funnel.Started, 2)}}}, "", []string{"0 of 2 finished. No other end was counted.", "No sign-in was approved in this time."}, []string{all, never}},
		"partly":            {days{0, funnel.Tally{Lines: []funnel.Line{line(funnel.Started, 3), line(funnel.Finished, 1)}}}, "", []string{"1 of 3 finished. No other end was counted."}, []string{all, never}},
		"finished":          {days{0, funnel.Tally{Lines: []funnel.Line{line(funnel.Started, 2), line(funnel.Finished, 2)}}}, "", []string{all}, []string{never}},
		"limited alone":     {days{0, funnel.Tally{Lines: []funnel.Line{line(funnel.Limited, 2)}}}, "", []string{"No sign-in began in this time.", "Refused by limits"}, []string{all, never}},
		"declined":          {days{0, funnel.Tally{Lines: []funnel.Line{line(funnel.Started, 1), line(funnel.Declined, 1)}}}, "", []string{"Declined"}, []string{all, never, "No other end"}},
	} {
		t.Run(what, func(t *testing.T) {
			h := pages.Handler(pages.Config{
				Door: door{scopes: []apikey.Scope{apikey.StatusRead}}, API: admin.New(admin.Config{}), Funnel: row.funnel,
				Health: func(context.Context) []pages.Fact { return nil }, Tokens: ui.Tokens(), Log: slog.New(slog.DiscardHandler),
			})
			got := pagetest.Draw("/console/"+row.path, h.ServeHTTP)
			pagetest.Want(t, got, http.StatusOK, row.want...)
			for _, not := range row.not {
				if strings.Contains(got.Body.String(), not) {
					t.Errorf("the page says %q:\n%s", not, got.Body)
				}
			}
		})
	}
}
