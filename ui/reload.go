// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"reflect"
	"slices"

	"calleridp/provider/account"
	"calleridp/provider/authorize"
	"calleridp/provider/checksession"
	"calleridp/provider/deviceflow"
	"calleridp/provider/endpoint"
	"calleridp/provider/logout"
	"calleridp/ui/page"

	"github.com/go-chi/chi/v5"
)

// Prepare reads and checks the files again, with the name, brand and overrides of c, and
// changes nothing. use draws all pages with them from then on, at the same moment; changed
// reports whether that makes a difference. Everything else stays as it is, languages
// included: the discovery document names them.
func (u *UI) Prepare(c Config) (use func(), changed bool, err error) {
	before := u.current.Load()
	next := before.config
	next.DeploymentName, next.Brand, next.Overrides = c.DeploymentName, c.Brand, c.Overrides
	if same, err := before.isOf(next); err != nil || same {
		return func() {}, false, err
	}
	d, err := draw(next)
	if err != nil {
		return nil, false, err
	}
	if !slices.Equal(d.tags(), before.tags()) {
		return nil, false, fmt.Errorf("the languages change from %q to %q, which needs a restart", before.tags(), d.tags())
	}
	return func() {
		u.previous.Store(before)
		u.current.Store(d)
	}, true, nil
}

// isOf reports whether the pages would be drawn the same with c, whose languages are theirs.
func (d *drawing) isOf(c Config) (bool, error) {
	c.DeploymentName = cmp.Or(c.DeploymentName, c.AppName) // as draw does
	if c.DeploymentName != d.config.DeploymentName || !reflect.DeepEqual(c.Brand, d.config.Brand) || (c.Overrides == nil) != (d.config.Overrides == nil) {
		return false, nil
	}
	if c.Overrides == nil {
		return true, nil
	}
	sum, err := digest(c.Overrides)
	return sum == d.overrides, err
}

// digest returns a digest of all files.
func digest(files fs.FS) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		fmt.Fprintf(h, "%q %d\n", path, len(text))
		h.Write(text)
		return err
	})
	return [sha256.Size]byte(h.Sum(nil)), err
}

// static serves the assets, also those of pages that were drawn before the last reload.
func (u *UI) static(w http.ResponseWriter, r *http.Request) {
	if before := u.previous.Load(); before != nil {
		if name := chi.URLParam(r, "name"); !u.pages().HasAsset(name) && before.pages.HasAsset(name) {
			before.pages.Static(w, r)
			return
		}
	}
	u.pages().Static(w, r)
}

func (u *UI) home(w http.ResponseWriter, r *http.Request) { u.pages().Home(w, r) }

// pages returns the pages as they are drawn now. One response is drawn by one of them whole.
func (u *UI) pages() *page.Pages { return u.current.Load().pages }

// SignIn implements authorize.Pages.
func (u *UI) SignIn(w http.ResponseWriter, r *http.Request, v authorize.SignInView) {
	u.pages().SignIn(w, r, v)
}

// Consent implements authorize.Pages.
func (u *UI) Consent(w http.ResponseWriter, r *http.Request, v authorize.ConsentView) {
	u.pages().Consent(w, r, v)
}

// SendAgain implements authorize.Pages.
func (u *UI) SendAgain(w http.ResponseWriter, r *http.Request, v authorize.SendAgainView) {
	u.pages().SendAgain(w, r, v)
}

// Waiting implements signin.Pages.
func (u *UI) Waiting(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	u.pages().Waiting(w, r, v)
}

// Approved implements signin.Pages.
func (u *UI) Approved(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	u.pages().Approved(w, r, v)
}

// Ended implements signin.Pages.
func (u *UI) Ended(w http.ResponseWriter, r *http.Request, v authorize.AttemptView) {
	u.pages().Ended(w, r, v)
}

// ConfirmSignOut implements logout.Pages.
func (u *UI) ConfirmSignOut(w http.ResponseWriter, r *http.Request, v logout.SignOutView) {
	u.pages().ConfirmSignOut(w, r, v)
}

// SignedOut implements logout.Pages.
func (u *UI) SignedOut(w http.ResponseWriter, r *http.Request, v logout.SignedOutView) {
	u.pages().SignedOut(w, r, v)
}

// CheckSession implements checksession.Pages.
func (u *UI) CheckSession(w http.ResponseWriter, r *http.Request, v checksession.View) {
	u.pages().CheckSession(w, r, v)
}

// Account implements account.Pages.
func (u *UI) Account(w http.ResponseWriter, r *http.Request, v account.AccountView) {
	u.pages().Account(w, r, v)
}

// AccountStep implements account.Pages.
func (u *UI) AccountStep(w http.ResponseWriter, r *http.Request, v account.AccountStepView) {
	u.pages().AccountStep(w, r, v)
}

// EnterUserCode implements deviceflow.Pages.
func (u *UI) EnterUserCode(w http.ResponseWriter, r *http.Request, v deviceflow.EnterView) {
	u.pages().EnterUserCode(w, r, v)
}

// ConfirmDevice implements deviceflow.Pages.
func (u *UI) ConfirmDevice(w http.ResponseWriter, r *http.Request, v deviceflow.ConfirmView) {
	u.pages().ConfirmDevice(w, r, v)
}

// DeviceDone implements deviceflow.Pages.
func (u *UI) DeviceDone(w http.ResponseWriter, r *http.Request, v deviceflow.DoneView) {
	u.pages().DeviceDone(w, r, v)
}

// Error implements endpoint.ErrorPages.
func (u *UI) Error(w http.ResponseWriter, r *http.Request, v endpoint.ErrorView) {
	u.pages().Error(w, r, v)
}

// Leaving implements signin.Pages.
func (u *UI) Leaving(w http.ResponseWriter, r *http.Request, v authorize.AttemptView, to string) {
	u.pages().Leaving(w, r, v, to)
}

// FormPost implements authorize.FormPoster.
func (u *UI) FormPost(w http.ResponseWriter, r *http.Request, action string, fields []endpoint.Parameter) {
	u.pages().FormPost(w, r, action, fields)
}
