package ui

import (
	"net/http"

	"calleridp/provider"
)

// problemStatus is the status of the sign-in page when it is shown again.
func problemStatus(p *provider.Problem) int {
	if p == nil {
		return http.StatusOK
	}
	switch p.Kind {
	case provider.Locked, provider.Limited:
		return http.StatusTooManyRequests
	case provider.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}

// example is a number of the shape that a person from the region would type.
var examples = map[string]string{"": "+91 81234 56789", "IN": "81234 56789", "SE": "070-174 06 05"}

// SignIn is the page with the number field.
func (u *UI) SignIn(w http.ResponseWriter, r *http.Request, v provider.SignInView) {
	t := u.texts.choose(v.UILocales, r.Header.Get("Accept-Language"))
	u.render(w, r, "signin.html", pageOptions{
		status: problemStatus(v.Problem), title: t.must("signin.title", "Client", v.Client.Name),
		formAction: v.FormAction, logo: v.Client.LogoURI, locales: v.UILocales,
	}, func(t texts) any {
		example, ok := examples[v.Region]
		if !ok {
			example = examples[""]
		}
		view := map[string]any{"V": v, "Action": provider.PathSignIn, "Example": example, "Problem": ""}
		if v.Problem != nil {
			view["Problem"] = u.problem(t, *v.Problem)
		}
		return view
	})
}

// problem is the sentence about what is wrong.
func (u *UI) problem(t texts, p provider.Problem) string {
	key := "problem." + string(p.Kind)
	if p.Kind == provider.Locked || p.Kind == provider.Limited {
		text, err := t.Minutes(key, p.RetryAt)
		if err != nil {
			return key
		}
		return text
	}
	return t.must(key)
}

// FormPost carries an authorization response to the client (OAuth 2.0 Form Post
// Response Mode). The script presses the button; without it the person does.
func (u *UI) FormPost(w http.ResponseWriter, r *http.Request, action string, fields [][2]string) {
	t := u.texts.choose(nil, r.Header.Get("Accept-Language"))
	u.render(w, r, "formpost.html", pageOptions{status: http.StatusOK, title: t.must("approved.go"), formAction: originOf(action)}, func(texts) any {
		return map[string]any{"Action": action, "Fields": fields}
	})
}

// ConfirmSignOut asks whether to sign out.
func (u *UI) ConfirmSignOut(w http.ResponseWriter, r *http.Request, v provider.SignOutView) {
	t := u.texts.choose(v.UILocales, r.Header.Get("Accept-Language"))
	u.render(w, r, "signout.html", pageOptions{status: http.StatusOK, title: t.must("signout.title"), formAction: v.FormAction, locales: v.UILocales}, func(texts) any {
		return map[string]any{"V": v, "Action": provider.PathSignOutConfirm}
	})
}

// SignedOut says that it is done.
func (u *UI) SignedOut(w http.ResponseWriter, r *http.Request, v provider.SignedOutView) {
	t := u.texts.choose(v.UILocales, r.Header.Get("Accept-Language"))
	u.render(w, r, "signedout.html", pageOptions{status: http.StatusOK, title: t.must("signedout.title"), locales: v.UILocales}, func(texts) any { return v })
}

// Error is the page for what has no client to be told to.
func (u *UI) Error(w http.ResponseWriter, r *http.Request, v provider.ErrorView) {
	t := u.texts.choose(v.UILocales, r.Header.Get("Accept-Language"))
	if v.Status == 0 {
		v.Status = errorStatus[v.Kind]
	}
	u.render(w, r, "error.html", pageOptions{status: v.Status, title: t.must("error.title"), locales: v.UILocales}, func(t texts) any {
		return map[string]any{"V": v, "Text": t.must("error." + string(v.Kind))}
	})
}

// errorStatus is what each kind of error page says in its status.
var errorStatus = map[provider.ErrorKind]int{
	provider.ErrorBadRequest:       http.StatusBadRequest,
	provider.ErrorUnknownClient:    http.StatusBadRequest,
	provider.ErrorRedirectURI:      http.StatusBadRequest,
	provider.ErrorRequestExpired:   http.StatusBadRequest,
	provider.ErrorNotYourBrowser:   http.StatusForbidden,
	provider.ErrorNotFound:         http.StatusNotFound,
	provider.ErrorMethodNotAllowed: http.StatusMethodNotAllowed,
	provider.ErrorFinished:         http.StatusGone,
	provider.ErrorTooLarge:         http.StatusRequestEntityTooLarge,
	provider.ErrorCrossOrigin:      http.StatusForbidden,
	provider.ErrorInternal:         http.StatusInternalServerError,
}
