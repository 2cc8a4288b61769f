// SPDX-License-Identifier: Apache-2.0

package gallery

import (
	"time"

	"calleridp/provider/deviceflow"
	"calleridp/provider/endpoint"
	"calleridp/ui/page"
)

// deviceScenes returns the pages of a device without a browser.
func deviceScenes() []scene {
	const code = "WDJ-BMJ-HTN"
	entering := func(name string, v deviceflow.EnterView) scene {
		return scene{name: "device" + name, show: func(p *page.Pages, b browser) { p.EnterUserCode(b.w, b.inLanguage(), v) }}
	}
	confirming := func(name string, v deviceflow.ConfirmView) scene {
		v.Request, v.Code = sealed, code
		return scene{name: "device-confirm" + name, show: func(p *page.Pages, b browser) { p.ConfirmDevice(b.w, b.inLanguage(), v) }}
	}
	done := func(name string, v deviceflow.DoneView) scene {
		return scene{name: "device-" + name, show: func(p *page.Pages, b browser) { p.DeviceDone(b.w, b.inLanguage(), v) }}
	}
	return []scene{
		entering("", deviceflow.EnterView{}),
		entering("-complete", deviceflow.EnterView{Code: code}),
		entering("-unknown", deviceflow.EnterView{Code: "WDJ-BMJ", Problem: deviceflow.CodeUnknown}),
		entering("-limited", deviceflow.EnterView{Code: code, Problem: deviceflow.CodeLimited, RetryAt: time.Now().Add(20 * time.Minute)}),
		confirming("", deviceflow.ConfirmView{Client: shop, Country: "SE", Network: "192.0.2.•••", Here: true}),
		confirming("-elsewhere", deviceflow.ConfirmView{Client: longName, Country: "BR", Network: "2001:db8:1:•••"}),
		confirming("-unknown", deviceflow.ConfirmView{Client: endpoint.ClientView{ID: "tv", Name: "TV"}}),
		done("done", deviceflow.DoneView{}),
		done("denied", deviceflow.DoneView{Denied: true}),
	}
}
