// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html/template"
	"net/http"

	"calleridp/provider/checksession"
)

// checkSession is an invisible page: it is within a client's page, without a size.
var checkSession = template.Must(template.New("checksession").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Session</title>
<script src="{{.Base}}/static/{{.Script}}" nonce="{{.Nonce}}" defer></script>
</head>
<body data-origin="{{.Origin}}" data-cookie="{{.Cookie}}"></body>
</html>
`))

// CheckSession implements provider.Pages.
func (p *Pages) CheckSession(w http.ResponseWriter, r *http.Request, v checksession.View) {
	nonce := newNonce()
	policy{script: p.assets.session, framedBy: v.Origin}.writeHeaders(w.Header(), nonce)
	err := checkSession.Execute(w, struct {
		checksession.View
		Base, Script, Nonce string
	}{v, p.cfg.Base, p.assets.session, nonce})
	if err != nil {
		p.cfg.Log.InfoContext(r.Context(), "a page was not written", "page", "checksession", "error", err)
	}
}
