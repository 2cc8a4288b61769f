package ui

import (
	"net/http"
	"time"

	"calleridp/provider/account"

	"golang.org/x/text/language/display"
)

// accountPage is what the account page shows beside its head.
type accountPage struct {
	Name         string
	NumberLost   bool
	Did          string // account.AccountDeed, "" for none
	Token        string
	Step         string // account.AccountStep
	Applications []accountRow
	Sessions     []accountRow
}

// accountRow is an application or a session, in a list.
type accountRow struct {
	Row             int // its number on the page
	Base, Token, ID string
	Since, Used     moment

	Client clientView // of an application
	Shares []share

	Browser, OS, Country string // of a session
	Here                 bool
}

// moment is a time that has passed, for a sentence: whole hours up to two days,
// then days up to two months, then months; all zero in the first hour.
type moment struct {
	Hours, Days, Months int
	ISO                 string // for machines
}

func momentOf(now, then time.Time) moment {
	m := moment{ISO: then.UTC().Format(time.RFC3339)}
	switch hours := int(max(now.Sub(then), 0) / time.Hour); {
	case hours < 48:
		m.Hours = hours
	case hours < 60*24:
		m.Days = hours / 24
	default:
		m.Months = hours / (24 * 30)
	}
	return m
}

// Account implements provider.Pages.
func (u *UI) Account(w http.ResponseWriter, r *http.Request, v account.AccountView) {
	now := time.Now()
	p := page{Number: v.Number, accountPage: accountPage{Name: v.Name, NumberLost: v.NumberLost, Did: string(v.Did), Token: v.Token}}
	row := func(list *[]accountRow, since, used time.Time) *accountRow {
		*list = append(*list, accountRow{Row: len(*list) + 1, Base: u.base, Token: v.Token, Since: momentOf(now, since), Used: momentOf(now, used)})
		return &(*list)[len(*list)-1]
	}
	for _, a := range v.Applications {
		line := row(&p.Applications, a.Since, a.LastUsed)
		line.ID, line.Client, line.Shares = a.Client.ID, showClient(a.Client), shares(a.Scopes, v.Number)
	}
	in := u.in(r, nil)
	countries := display.Regions(in.tag)
	for _, s := range v.Sessions {
		line := row(&p.Sessions, s.Created, s.LastUsed)
		line.ID, line.Browser, line.OS, line.Here = s.ID, s.Device.Browser, s.Device.OS, s.Here
		if s.Country != "" {
			line.Country = countryName(s.Country, in.tag, countries)
		}
	}
	u.show(w, r, in, "account", http.StatusOK, p, policy{opener: severed})
}

// AccountStep implements provider.Pages.
func (u *UI) AccountStep(w http.ResponseWriter, r *http.Request, v account.AccountStepView) {
	p := page{Number: v.Number, accountPage: accountPage{Step: string(v.Step), Token: v.Token}}
	u.show(w, r, u.in(r, nil), "accountstep", http.StatusOK, p, policy{opener: severed})
}
