// SPDX-License-Identifier: Apache-2.0

package logout

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/session"
)

// maxFrames bounds how many clients the page after signing out has in frames: those that
// took part in the session last.
const maxFrames = 32

// SignedOut ends the visit of a browser whose session has just ended here: it loses its
// cookies, and the clients of the session hear of it in frames of the page after signing
// out, which then goes on to next, "" to stay. Without such clients the browser goes there
// at once.
func (e *Endpoint) SignedOut(w http.ResponseWriter, r *http.Request, ended session.Session, next string) {
	e.leave(w, r, ended, &request{}, client.Client{}, next)
}

// leave is SignedOut after a logout request of the client.
func (e *Endpoint) leave(w http.ResponseWriter, r *http.Request, ended session.Session, q *request, c client.Client, next string) {
	e.cfg.Cookies.ClearSession(w)
	e.cfg.Cookies.ClearBrowser(w)
	frames := e.frames(r.Context(), ended)
	if len(frames) == 0 {
		if next == "" {
			next = q.signedOut()
		}
		endpoint.Redirect(w, next)
		return
	}
	v := SignedOutView{UILocales: q.UILocales, Frames: frames, Next: next}
	if c.ID != "" {
		v.Client = e.cfg.Browser.ViewFor(c, "")
	}
	e.cfg.Pages.SignedOut(w, r, v)
}

// frames returns the addresses at which the clients of a session hear that it has ended
// (OpenID Connect Front-Channel Logout 1.0 §2, §3), the latest first. A client that needs
// the session's ID hears of each that it has; every other client once. The user is signed
// out already, so that no failure stands in the way.
func (e *Endpoint) frames(ctx context.Context, ended session.Session) []string {
	var frames []string
	for _, p := range slices.Backward(ended.Participants) {
		c, err := e.cfg.Clients.Client(ctx, p.ClientID)
		if err != nil {
			if !errors.Is(err, client.ErrNotFound) {
				e.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a client was not told of a sign-out", slog.String("client", p.ClientID), slog.Any("error", err))
			}
			continue
		}
		// One that took the ID of a removed client took no part.
		if c.FrontChannel.LogoutURI == "" || c.RegisteredAfter(p.At) {
			continue
		}
		uri := c.FrontChannel.LogoutURI
		if c.FrontChannel.SessionRequired {
			uri = endpoint.WithParameters(uri,
				endpoint.Parameter{Name: "iss", Value: e.cfg.Issuer},
				endpoint.Parameter{Name: "sid", Value: e.cfg.Hints.SID(c, p.SID)})
		}
		if !slices.Contains(frames, uri) {
			frames = append(frames, uri)
		}
		if len(frames) == maxFrames {
			e.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "not every client was told of a sign-out", slog.Int("told", maxFrames), slog.Int("took_part", len(ended.Participants)))
			break
		}
	}
	return frames
}
