// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/subject"
)

// registry knows clients by ID, and fails for the empty one.
type registry map[string]client.Client

var errDisk = errors.New("the disk is full")

func (r registry) Client(_ context.Context, id string) (client.Client, error) {
	if id == "" {
		return client.Client{}, errDisk
	}
	c, ok := r[id]
	if !ok {
		return client.Client{}, client.ErrNotFound
	}
	return c, nil
}

// In whatever order consents and grants are stored, an application has had access since
// the first and had it last by the latest of them.
func TestApplicationsInAnyOrder(t *testing.T) {
	a := &Account{cfg: Config{Clients: registry{"app": {ID: "app"}}}}
	at := func(hours int) time.Time { return time.Date(2026, 11, 29, hours, 0, 0, 0, time.UTC) }
	grants := []grant.Grant{
		{ClientID: "app", Created: at(2), Rotated: at(7), Scopes: []string{"openid"}}, // refreshed
		{ClientID: "app", Created: at(1), Scopes: []string{"phone", "openid"}},
		{ClientID: "app", Created: at(5), Scopes: []string{"phone"}},
		{ClientID: "app", Created: at(0), Rotated: at(9), Revoked: true, Scopes: []string{"email"}},
	}
	for range len(grants) {
		grants = append(grants[1:], grants[0])
		record := subject.Record{
			Grants:   grants,
			Consents: []consent.Consent{{ClientID: "app", Created: at(3), LastUsed: at(4), Scopes: []string{"openid"}}},
		}
		apps, err := a.applications(t.Context(), record)
		if err != nil || len(apps) != 1 {
			t.Fatalf("got %+v, %v, want one application", apps, err)
		}
		slices.Sort(apps[0].Scopes)
		if !apps[0].Since.Equal(at(1)) || !apps[0].LastUsed.Equal(at(7)) || !slices.Equal(apps[0].Scopes, []string{"openid", "phone"}) {
			t.Errorf("got %+v, want it since 1, used at 7, with openid and phone once", apps[0])
		}
	}
	for what, record := range map[string]subject.Record{
		"consent": {Consents: []consent.Consent{{}}},
		"grant":   {Grants: []grant.Grant{{}}},
	} {
		if apps, err := a.applications(t.Context(), record); !errors.Is(err, errDisk) {
			t.Errorf("a %s whose client cannot be read: got %+v, %v, want %v", what, apps, err, errDisk)
		}
	}
}
