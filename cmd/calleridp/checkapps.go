package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"calleridp/truecaller"
)

// The methods that an app may have.
const (
	methodPush   = "push"
	methodOneTap = "onetap"
	methodNative = "native"
)

// appConfig is one Truecaller app of the configuration, with its key there.
type appConfig struct {
	key string
	TruecallerConfig
}

// appsOf are all of them, that of clients that name none first.
func appsOf(c Config) []appConfig {
	all := []appConfig{{"truecaller", c.Truecaller}}
	for i, app := range c.TruecallerApps {
		all = append(all, appConfig{fmt.Sprintf("truecaller_apps[%d]", i), app})
	}
	return all
}

// appDefaults fills in what was left out of an app.
func appDefaults(c *TruecallerConfig) {
	if len(c.Methods) == 0 {
		c.Methods = []string{methodPush}
	}
	if c.OAuthURL == "" {
		c.OAuthURL = "https://oauth-account-noneu.truecaller.com"
	}
	if c.APIURL == "" {
		c.APIURL = "https://api4.truecaller.com"
	}
	if len(c.ProfileURLs) == 0 {
		c.ProfileURLs = []string{"https://profile4.truecaller.com", "https://profile4-noneu.truecaller.com", "https://profile4-eu.truecaller.com"}
	}
}

func checkApps(c Config, d *decoder) []truecaller.App {
	var apps []truecaller.App
	first := map[string]string{}
	for i, app := range appsOf(c) {
		switch before, twice := first[app.ID]; {
		case app.ID == "":
			d.wrong(app.key+".id", "missing; it is in the callback address and in truecaller_app of clients")
		case !isAppID(app.ID):
			d.wrong(app.key+".id", "%q: use letters, digits, '-', '_' and '.', because it is in the callback address", app.ID)
		case twice:
			d.wrong(app.key+".id", "%q is the id of %s already", app.ID, before)
		default:
			first[app.ID] = app.key
		}
		if i > 0 && app.Timeout != 0 {
			d.wrong(app.key+".timeout", "there is one for all apps; write it under truecaller")
		}
		apps = append(apps, checkApp(app, d))
	}
	return apps
}

func isAppID(text string) bool {
	return strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

func checkApp(c appConfig, d *decoder) truecaller.App {
	app := truecaller.App{ID: c.ID, Name: c.AppName}
	if c.AppName == "" {
		d.wrong(c.key+".app_name", "missing; write the name that the phone shows")
	}
	for i, method := range c.Methods {
		if method != methodPush && method != methodOneTap && method != methodNative {
			d.wrong(fmt.Sprintf("%s.methods[%d]", c.key, i), "%q: use push, onetap or native", method)
		}
	}
	app.WithoutPush = !slices.Contains(c.Methods, methodPush)
	checkNative(c, &app, d)
	if slices.Contains(c.Methods, methodOneTap) {
		app.OneTap = checkOneTap(c, d)
	} else if c.OneTap != (OneTapConfig{}) {
		d.wrong(c.key+".onetap", "is for the method onetap, which is not among %s.methods", c.key)
	}
	if app.NativeOnly() {
		return app
	}
	app.Key = secret(c.key+".app_key", c.AppKey, c.AppKeyFile, d, func(text string) string {
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "has spaces or characters that no appKey has; it must be the appKey alone"
		}
		return ""
	})
	app.CallbackSecrets = []string{secret(c.key+".callback_secret", c.CallbackSecret, c.CallbackSecretFile, d, callbackSecretMistake)}
	app.API = truecallerURL(c.key+".api_url", c.APIURL, d)
	for i, text := range c.ProfileURLs {
		app.Profiles = append(app.Profiles, truecallerURL(fmt.Sprintf("%s.profile_urls[%d]", c.key, i), text, d))
	}
	return app
}

// checkNative reads what the method native needs.
func checkNative(c appConfig, app *truecaller.App, d *decoder) {
	key, id := c.key+".native_client_id", strings.TrimSpace(c.NativeClientID)
	switch has := slices.Contains(c.Methods, methodNative); {
	case has && id == "":
		d.wrong(key, "missing; the method native needs the OAuth client id of the Android app in Truecaller's portal")
	case !has && id != "":
		d.wrong(key, "is for the method native, which is not among %s.methods", c.key)
	case strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }):
		d.wrong(key, "%q has spaces or characters that no client id has", id)
	}
	oauth := truecallerURL(c.key+".oauth_url", c.OAuthURL, d)
	if id != "" {
		app.NativeClientID, app.OAuth = id, oauth
	}
}

// callbackSecretMistake says what is wrong with a callback secret, "" for
// nothing.
func callbackSecretMistake(text string) string {
	if len(text) < 32 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return "must be at least 32 letters and digits; openssl rand -hex 32 makes one"
	}
	return ""
}

// oneTapKeys are the keys here of what a link names otherwise.
var oneTapKeys = map[string]string{
	"loginPrefix": "login_prefix", "loginSuffix": "login_suffix", "ctaPrefix": "cta_prefix", "ctaColor": "cta_color",
	"ctaTextColor": "cta_text_color", "btnShape": "btn_shape", "skipOption": "skip_option", "ttl": "ttl",
	"privacyUrl": "privacy_url", "termsUrl": "terms_url", "partnerName": "partner_name",
}

func checkOneTap(app appConfig, d *decoder) *truecaller.Dialog {
	key, c := app.key+".onetap", app.OneTap
	dialog := &truecaller.Dialog{
		LoginPrefix: c.LoginPrefix, LoginSuffix: c.LoginSuffix, CTAPrefix: c.CTAPrefix, CTAColor: c.CTAColor, CTATextColor: c.CTATextColor,
		BtnShape: c.BtnShape, SkipOption: c.SkipOption, TTL: time.Duration(c.TTL), PrivacyURL: c.PrivacyURL, TermsURL: c.TermsURL,
		PartnerName: c.PartnerName, FirstOfSeveral: c.SeveralNumbers == "first",
	}
	for _, mistake := range dialog.Mistakes() {
		d.wrong(key+"."+oneTapKeys[mistake.Field], "%s", mistake.Text)
	}
	if c.PartnerName == "" {
		for _, mistake := range (truecaller.Dialog{PartnerName: app.AppName}).Mistakes() {
			d.wrong(app.key+".app_name", "%s, which one-tap's dialog cannot show; set onetap.partner_name to a shorter one", mistake.Text)
		}
	}
	switch c.SeveralNumbers {
	case "", "refuse", "first":
	default:
		d.wrong(key+".several_numbers", "%q: use refuse or first", c.SeveralNumbers)
	}
	return dialog
}

// truecallerURL is an address at Truecaller. Plain http is for a simulator on
// loopback (invariant 5).
func truecallerURL(key, text string, d *decoder) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		d.wrong(key, "%q is not an address like https://api4.truecaller.com", text)
		return &url.URL{}
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && !(u.Scheme == "http" && ip != nil && ip.IsLoopback()) {
		d.wrong(key, "%q must be https: secrets are sent there", text)
	}
	return u
}

// secret takes a secret from the environment or from a file. mistake says what is
// wrong with it, "" for nothing; it never repeats it.
func secret(key, value, file string, d *decoder, mistake func(string) string) string {
	value = strings.TrimSpace(value)
	switch {
	case value != "":
	case file != "":
		key += "_file"
		value = secretFile(key, file, d)
	case !d.failed(key):
		d.wrong(key+"_file", "missing; name a file%s", orVariable("environment", key))
	}
	if value != "" {
		if text := mistake(value); text != "" {
			d.wrong(key, "%s", text)
		}
	}
	return value
}

// fileMistake is why a file that the configuration names is not read, and what
// to do about it.
func fileMistake(file string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no " + file + "; make it, or correct its name here"
	case errors.Is(err, fs.ErrPermission):
		return file + " is not readable for the user that this runs as; let that user own it"
	}
	return err.Error()
}

func secretFile(key, file string, d *decoder) string {
	text, err := os.ReadFile(file)
	if err != nil {
		d.wrong(key, "%s", fileMistake(file, err))
		return ""
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		d.wrong(key, "%s is empty", file)
	}
	return value
}
