package ui

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed locales/*.json
var localeFiles embed.FS

// catalogue is the texts of all languages, one file a language.
type catalogue struct {
	bundle  *i18n.Bundle
	tags    []language.Tag // the default first
	matcher language.Matcher
}

// The default language is the one that every key must have.
var defaultLanguage = language.English

func newCatalogue() (*catalogue, error) {
	c := &catalogue{bundle: i18n.NewBundle(defaultLanguage)}
	c.bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	names, err := fs.Glob(localeFiles, "locales/*.json")
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	c.tags = []language.Tag{defaultLanguage}
	for _, name := range names {
		file, err := c.bundle.LoadMessageFileFS(localeFiles, name)
		if err != nil {
			return nil, fmt.Errorf("ui: %s: %w", name, err)
		}
		if file.Tag != defaultLanguage {
			c.tags = append(c.tags, file.Tag)
		}
	}
	c.matcher = language.NewMatcher(c.tags)
	return c, nil
}

func (c *catalogue) languages() []string {
	var all []string
	for _, tag := range c.tags {
		all = append(all, tag.String())
	}
	return all
}

// choose picks the language: what the client asked for (ui_locales, OpenID
// Connect Core §3.1.2.1), then what the browser prefers.
func (c *catalogue) choose(uiLocales []string, acceptLanguage string) texts {
	var wanted []language.Tag
	for _, locale := range uiLocales {
		if tag, err := language.Parse(locale); err == nil {
			wanted = append(wanted, tag)
		}
	}
	accepted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err == nil {
		wanted = append(wanted, accepted...)
	}
	_, at, _ := c.matcher.Match(wanted...)
	tag := c.tags[at]
	return texts{Lang: tag.String(), Dir: direction(tag), localizer: i18n.NewLocalizer(c.bundle, tag.String())}
}

// direction is rtl for languages that are written from right to left.
func direction(tag language.Tag) string {
	script, _ := tag.Script()
	switch script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc":
		return "rtl"
	}
	return "ltr"
}

// texts are the texts of one language.
type texts struct {
	Lang, Dir string
	localizer *i18n.Localizer
}

// T is the text of a key, with values for its placeholders as name, value pairs.
func (t texts) T(key string, pairs ...string) (string, error) {
	values := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return t.localizer.Localize(&i18n.LocalizeConfig{MessageID: key, TemplateData: values})
}

// Minutes is the text of a key that counts minutes from now until at, rounded
// up.
func (t texts) Minutes(key string, at time.Time) (string, error) {
	minutes := max(1, int((time.Until(at)+time.Minute-1)/time.Minute))
	return t.localizer.Localize(&i18n.LocalizeConfig{MessageID: key, PluralCount: minutes, TemplateData: map[string]any{"Count": minutes}})
}

// must is T for keys that this package's own code names; a test sees to it that
// all exist.
func (t texts) must(key string, pairs ...string) string {
	text, err := t.T(key, pairs...)
	if err != nil {
		return strings.ToUpper(key)
	}
	return text
}
