package admin

import "net/http"

// Server is what clients have to know of the server.
type Server struct {
	Issuer string `json:"issuer"`
}

func (h *handler) server(*http.Request) (int, any, error) {
	return http.StatusOK, Server{Issuer: h.Issuer}, nil
}
