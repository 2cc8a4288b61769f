package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"

	"github.com/go-chi/chi/v5"
)

// RegistrationToken is an initial access token (RFC 7591 §3) as the API writes it. The token
// itself is in the answer that makes it, and nowhere else.
type RegistrationToken struct {
	ID      string    `json:"id"`
	Token   string    `json:"token,omitempty"`
	Note    string    `json:"note,omitempty"` // for whom it is
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Uses    uint32    `json:"uses"` // registrations that it still permits
}

// NewRegistrationToken is a request for one.
type NewRegistrationToken struct {
	Note      string `json:"note"`
	ExpiresIn int64  `json:"expires_in"` // seconds
	Uses      int    `json:"uses"`
}

func (h *handler) listTokens(r *http.Request) (int, any, error) {
	all, err := h.Clients.InitialTokens(r.Context())
	if err != nil {
		return 0, nil, err
	}
	slices.SortFunc(all, func(a, b client.InitialToken) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	out := []RegistrationToken{}
	for _, t := range all {
		out = append(out, shownToken(t))
	}
	return http.StatusOK, out, nil
}

func (h *handler) addToken(r *http.Request) (int, any, error) {
	var in NewRegistrationToken
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return 0, nil, refused{http.StatusBadRequest, "the request is not readable: " + strings.TrimPrefix(err.Error(), "json: ")}
	}
	const longest = int64(1<<63-1) / int64(time.Second)
	life := time.Duration(min(max(in.ExpiresIn, 0), longest)) * time.Second
	t, text, err := h.Clients.AddInitialToken(r.Context(), in.Note, life, in.Uses)
	if invalid, ok := errors.AsType[client.FieldErrors](err); ok {
		return 0, nil, refused{http.StatusUnprocessableEntity, invalid.Error()}
	}
	if err != nil {
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.InitialTokenAdded, Of: t.ID})
	out := shownToken(t)
	out.Token = text
	return http.StatusCreated, out, nil
}

func (h *handler) removeToken(r *http.Request) (int, any, error) {
	id := chi.URLParam(r, "id")
	switch err := h.Clients.RemoveInitialToken(r.Context(), id); {
	case errors.Is(err, client.ErrInitialToken):
		return 0, nil, refused{http.StatusNotFound, "there is no registration token " + id}
	case err != nil:
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.InitialTokenRemoved, Of: id})
	return http.StatusOK, RegistrationToken{ID: id}, nil
}

func shownToken(t client.InitialToken) RegistrationToken {
	return RegistrationToken{ID: t.ID, Note: t.Note, Created: t.Created, Expires: t.Expires, Uses: t.Left}
}
