// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"strconv"
	"time"

	"calleridp/provider/deviceflow"
	"calleridp/provider/endpoint"
)

// userCodeView is what the page with the field for a device's code shows.
type userCodeView struct {
	chrome

	Code    string
	Problem bool
	Limited bool // the problem is that there were too many tries
	Wait    delay
}

// EnterUserCode implements provider.Pages.
func (p *Pages) EnterUserCode(w http.ResponseWriter, r *http.Request, v deviceflow.EnterView) {
	now := time.Now()
	view := &userCodeView{Code: v.Code, Problem: v.Problem != "", Limited: v.Problem == deviceflow.CodeLimited}
	resp := response{
		template: "usercode",
		language: p.choose(r, nil),
		status:   http.StatusOK,
		view:     view,
		policy:   policy{opener: sameOriginOpener},
	}
	if v.Problem != "" { // the page is the response to a form
		resp.status = http.StatusUnprocessableEntity
		resp.again.add("back", endpoint.PathDevice)
	}
	if view.Limited {
		resp.status = http.StatusTooManyRequests
		view.Wait = waitUntil(now, v.RetryAt)
		w.Header().Set("Retry-After", strconv.Itoa(max(1, seconds(now, v.RetryAt)))) // RFC 9110 §10.2.3
	}
	p.show(w, r, resp)
}

// confirmDeviceView is what the page shows that asks whether the user has started what a
// device asks for.
type confirmDeviceView struct {
	chrome

	Request string // sealed
	Code    string
	Country string // its name; "" for unknown
	Network string // masked; "" for unknown
	Here    bool   // it is the user's own
}

// ConfirmDevice implements provider.Pages.
func (p *Pages) ConfirmDevice(w http.ResponseWriter, r *http.Request, v deviceflow.ConfirmView) {
	choice := p.choose(r, nil)
	view := &confirmDeviceView{chrome: chromeOf(v.Client), Request: v.Request, Code: v.Code, Network: v.Network, Here: v.Here}
	if v.Country != "" {
		view.Country = choice.Country(v.Country)
	}
	p.show(w, r, response{
		template: "confirmdevice",
		language: choice,
		status:   http.StatusOK,
		view:     view,
		again:    withRequest(v.Request),
	})
}

// deviceDoneView is what the page after the user's decision shows.
type deviceDoneView struct {
	chrome

	Denied bool
}

// DeviceDone implements provider.Pages.
func (p *Pages) DeviceDone(w http.ResponseWriter, r *http.Request, v deviceflow.DoneView) {
	p.show(w, r, response{
		template: "devicedone",
		language: p.choose(r, nil),
		status:   http.StatusOK,
		view:     &deviceDoneView{Denied: v.Denied},
		policy:   policy{opener: sameOriginOpener},
	})
}
