package bolt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"calleridp/provider/client"
)

var _ client.Store = (*Store)(nil)

type clientRecord struct {
	Name                   string         `json:"name"`
	LogoURI                string         `json:"logo_uri,omitempty"`
	URI                    string         `json:"client_uri,omitempty"`
	TOSURI                 string         `json:"tos_uri,omitempty"`
	PolicyURI              string         `json:"policy_uri,omitempty"`
	SecretHashes           [][]byte       `json:"secrets,omitempty"`
	Public                 bool           `json:"public,omitempty"`
	RedirectURIs           []string       `json:"redirect_uris"`
	PostLogoutRedirectURIs []string       `json:"post_logout_redirect_uris,omitempty"`
	AllowedOrigins         []string       `json:"allowed_origins,omitempty"`
	Scopes                 []string       `json:"scopes,omitempty"`
	WithoutPKCE            bool           `json:"without_pkce,omitempty"`
	IDTokenAlg             string         `json:"id_token_alg,omitempty"`
	Pairwise               bool           `json:"pairwise,omitempty"`
	SectorHost             string         `json:"sector_host,omitempty"`
	DefaultMaxAge          *time.Duration `json:"default_max_age,omitempty"`
	Region                 string         `json:"region,omitempty"`
	TruecallerApp          string         `json:"truecaller_app,omitempty"`
	Created                time.Time      `json:"created"`
}

func (s *Store) Client(_ context.Context, id string) (c client.Client, err error) {
	err = s.read(func(r reader) error {
		c, err = r.client(id)
		return err
	})
	return c, err
}

func (s *Store) Clients(context.Context) (all []client.Client, err error) {
	err = s.read(func(r reader) error {
		return r.bucket(bClients).ForEach(func(k, value []byte) error {
			var v clientRecord
			if err := r.open(bClients, k, value, &v); err != nil {
				return err
			}
			c, err := v.domain(string(k))
			all = append(all, c)
			return err
		})
	})
	return all, err
}

func (s *Store) CreateClient(ctx context.Context, c client.Client) error {
	return s.write(ctx, func(tx *txn) error {
		switch _, err := tx.client(c.ID); {
		case err == nil:
			return client.ErrExists
		case !errors.Is(err, client.ErrNotFound):
			return err
		}
		return tx.putClient(c)
	})
}

func (s *Store) UpdateClient(ctx context.Context, id string, change func(*client.Client) error) error {
	return s.write(ctx, func(tx *txn) error {
		c, err := tx.client(id)
		if err != nil {
			return err
		}
		if err := change(&c); err != nil {
			return err
		}
		return tx.putClient(c)
	})
}

func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *txn) error {
		if _, err := tx.client(id); err != nil {
			return err
		}
		return tx.drop(bClients, []byte(id))
	})
}

func (r reader) client(id string) (client.Client, error) {
	var v clientRecord
	if id == "" {
		return client.Client{}, client.ErrNotFound
	}
	if err := r.get(bClients, []byte(id), &v); err != nil {
		return client.Client{}, orNotFound(err, client.ErrNotFound)
	}
	return v.domain(id)
}

func (v clientRecord) domain(id string) (client.Client, error) {
	c := client.Client{
		ID: id, Name: v.Name, LogoURI: v.LogoURI, URI: v.URI, TOSURI: v.TOSURI, PolicyURI: v.PolicyURI, Public: v.Public,
		RedirectURIs: v.RedirectURIs, PostLogoutRedirectURIs: v.PostLogoutRedirectURIs, AllowedOrigins: v.AllowedOrigins,
		Scopes: v.Scopes, WithoutPKCE: v.WithoutPKCE, IDTokenAlg: v.IDTokenAlg, Pairwise: v.Pairwise, SectorHost: v.SectorHost,
		DefaultMaxAge: v.DefaultMaxAge, Region: v.Region, TruecallerApp: v.TruecallerApp, Created: v.Created,
	}
	for _, hash := range v.SecretHashes {
		if len(hash) != 32 {
			return client.Client{}, fmt.Errorf("bolt: client %s has a secret of an unknown kind", id)
		}
		c.SecretHashes = append(c.SecretHashes, [32]byte(hash))
	}
	return c, nil
}

func (t *txn) putClient(c client.Client) error {
	v := clientRecord{
		Name: c.Name, LogoURI: c.LogoURI, URI: c.URI, TOSURI: c.TOSURI, PolicyURI: c.PolicyURI, Public: c.Public,
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, AllowedOrigins: c.AllowedOrigins,
		Scopes: c.Scopes, WithoutPKCE: c.WithoutPKCE, IDTokenAlg: c.IDTokenAlg, Pairwise: c.Pairwise, SectorHost: c.SectorHost,
		DefaultMaxAge: c.DefaultMaxAge, Region: c.Region, TruecallerApp: c.TruecallerApp, Created: c.Created,
	}
	for _, hash := range c.SecretHashes {
		v.SecretHashes = append(v.SecretHashes, hash[:])
	}
	return t.put(bClients, []byte(c.ID), v, time.Time{})
}
