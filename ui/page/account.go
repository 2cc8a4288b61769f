// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"strings"
	"time"

	"calleridp/provider/account"
)

// accountView is what the account page shows.
type accountView struct {
	chrome

	Name         string
	Initials     string
	Number       string // masked
	NumberLost   bool
	Did          string // account.AccountDeed; "" for none
	Token        string
	Applications []accountRow
	Sessions     []accountRow
}

// accountRow is an application or a session in a list.
type accountRow struct {
	Row             int // its position in its list, from 1
	Base, Token, ID string
	Since, Used     moment

	Client clientView // of an application
	Open   string     // its page where a sign-in begins; "" for none
	Shares []share

	Browser, OS, Country string // of a session
	Icon                 string // of its device
	Here                 bool
	Once                 bool // Since and Used read the same
}

// Account implements provider.Pages.
func (p *Pages) Account(w http.ResponseWriter, r *http.Request, v account.AccountView) {
	now, choice := time.Now(), p.choose(r, nil)
	view := &accountView{Name: v.Name, Initials: initials(v.Name), Number: shownNumber(v.Number), NumberLost: v.NumberLost, Did: string(v.Did), Token: v.Token}
	for i, a := range v.Applications {
		view.Applications = append(view.Applications, accountRow{
			Row:    i + 1,
			Base:   p.cfg.Base,
			Token:  v.Token,
			ID:     a.Client.ID,
			Since:  momentOf(now, a.Since),
			Used:   momentOf(now, a.LastUsed),
			Client: showClient(a.Client).under(p.cfg.Base),
			Open:   webURL(a.Open),
			Shares: shares(a.Scopes, v.Number),
		})
	}
	for i, s := range v.Sessions {
		row := accountRow{
			Row:     i + 1,
			Base:    p.cfg.Base,
			Token:   v.Token,
			ID:      s.ID,
			Since:   momentOf(now, s.Created),
			Used:    momentOf(now, s.LastUsed),
			Browser: s.Device.Browser,
			OS:      s.Device.OS,
			Here:    s.Here,
			Once:    momentOf(now, s.Created).reads(momentOf(now, s.LastUsed)),
			Icon:    "computer",
		}
		switch s.Device.OS {
		case "Android", "HarmonyOS", "KaiOS", "iOS":
			row.Icon = "phone"
		}
		if s.Country != "" {
			row.Country = choice.Country(s.Country)
		}
		view.Sessions = append(view.Sessions, row)
	}
	p.show(w, r, response{
		template: "account",
		language: choice,
		status:   http.StatusOK,
		view:     view,
		policy:   policy{opener: sameOriginOpener},
	})
}

// initials returns the initials of the first and the last part of a name, "" if it has none.
func initials(name string) string {
	parts := strings.Fields(name)
	switch len(parts) {
	case 0:
		return ""
	case 1:
		return initial(parts[0])
	}
	return initial(parts[0]) + initial(parts[len(parts)-1])
}

// accountStepView is what the pages show to which the account page leads.
type accountStepView struct {
	chrome

	Step   string // account.AccountStep
	Number string // masked
	Token  string
}

// AccountStep implements provider.Pages.
func (p *Pages) AccountStep(w http.ResponseWriter, r *http.Request, v account.AccountStepView) {
	p.show(w, r, response{
		template: "accountstep",
		language: p.choose(r, nil),
		status:   http.StatusOK,
		view:     &accountStepView{Step: string(v.Step), Number: shownNumber(v.Number), Token: v.Token},
		policy:   policy{opener: sameOriginOpener},
	})
}
