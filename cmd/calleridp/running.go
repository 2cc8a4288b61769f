// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/serve"
	"calleridp/provider/admin"
	"calleridp/truecaller"
	pages "calleridp/ui/console"
)

// running says how this server is: to the admin API, and to the console.
type running struct {
	settings atomic.Pointer[config.Settings] // in use; replaced by a reload
	store    *storage
	outgoing *truecaller.Client
	receiver *truecaller.Receiver
	program  *serve.Program // set before it serves
}

// effective returns the configuration in use, also after a reload, without its secrets.
func (r *running) effective() any { return r.settings.Load().Effective() }

// status returns how the server is, as the API shows it.
func (r *running) status(ctx context.Context) (admin.Status, error) {
	version, _ := versions()
	status := admin.Status{
		Version: version, Store: "healthy", Breakers: []admin.Breaker{},
		LastCallback: r.receiver.LastCallback(), Certificate: r.certificate(),
	}
	if err := r.store.Healthy(); err != nil {
		status.Store = err.Error()
	}
	for _, b := range r.outgoing.Breakers() {
		status.Breakers = append(status.Breakers, admin.Breaker{Purpose: string(b.Purpose), Host: b.Host, State: string(b.State)})
	}
	var err error
	if status.Inbox, err = r.store.InboxSize(ctx); err != nil {
		return status, err
	}
	status.Notices, err = r.store.NoticesWaiting(ctx)
	return status, err
}

// certificate returns how the certificate of the public listener stands: the one in use,
// wherever it comes from.
func (r *running) certificate() admin.Certificate {
	c := admin.Certificate{Source: "none", Ends: r.program.CertificateEnds()}
	settings := r.settings.Load()
	switch {
	case settings.TLS.ACME.On():
		c.Source = "acme"
	case settings.TLS.On() || !c.Ends.IsZero(): // dev makes its own
		c.Source = "files"
	}
	return c
}

// facts says how this server is, for the console's overview.
func (r *running) facts(ctx context.Context) []pages.Fact {
	version, _ := versions()
	facts := []pages.Fact{{Name: "Version", Value: version}}
	if err := r.store.Healthy(); err != nil {
		facts = append(facts, pages.Fact{Name: "Store", Value: "does not take changes", Bad: true, Note: err.Error()})
	} else {
		facts = append(facts, pages.Fact{Name: "Store", Value: "takes changes", Good: true, Note: r.settings.Load().Storage.Engine})
	}
	if n, err := r.store.InboxSize(ctx); err == nil {
		facts = append(facts, pages.Fact{Name: "Callbacks in the inbox", Value: fmt.Sprint(n)})
	}
	last := pages.Fact{Name: "Last callback", Value: "none since the start"}
	if at := r.receiver.LastCallback(); !at.IsZero() {
		last.Value = at.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	facts = append(facts, last, pages.Fact{Name: "Connections", Value: fmt.Sprintf("%d open", r.program.Connections.Open())})
	facts = append(facts, r.certificateFacts(time.Now())...)
	breakers := r.outgoing.Breakers()
	for _, b := range breakers {
		f := pages.Fact{Name: "Truecaller: " + string(b.Purpose), Value: "answers", Good: true, Note: b.Host}
		if b.State != truecaller.BreakerClosed {
			f.Value, f.Good, f.Bad = "held back, because it does not answer", false, true
		}
		facts = append(facts, f)
	}
	if len(breakers) == 0 {
		facts = append(facts, pages.Fact{Name: "Truecaller", Value: "not asked since the start"})
	}
	return facts
}

// certificateSoon is how long before its end a certificate is pointed out.
const certificateSoon = 14 * 24 * time.Hour

// certificateFacts says when the certificates end that the server has.
func (r *running) certificateFacts(now time.Time) (facts []pages.Fact) {
	if c := r.certificate(); c.Source != "none" {
		facts = append(facts, certificateFact("Certificate", c.Ends, now))
	}
	own := r.settings.Load().AdminTLS
	if own.CertFile == "" { // admin_listen has that of the public listener, or there is none
		return facts
	}
	var ends time.Time
	if pair, err := tls.LoadX509KeyPair(own.CertFile, own.KeyFile); err == nil && pair.Leaf != nil {
		ends = pair.Leaf.NotAfter
	}
	return append(facts, certificateFact("Certificate of admin_listen", ends, now))
}

// certificateFact says when a certificate ends; the zero time is one that is not there.
func certificateFact(name string, ends, now time.Time) pages.Fact {
	if ends.IsZero() {
		return pages.Fact{Name: name, Value: "none yet", Bad: true, Note: "the log says why"}
	}
	left := ends.Sub(now)
	return pages.Fact{
		Name: name, Value: "until " + ends.UTC().Format(time.DateOnly),
		Note: fmt.Sprintf("%d days left", int(left.Hours()/24)),
		Good: left > certificateSoon, Bad: left <= certificateSoon,
	}
}
