// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"

	"github.com/danielgtaylor/huma/v2"
)

// Problem is a request that was refused or failed (RFC 9457). Its type is about:blank: the
// status says what kind of problem it is, Detail what is wrong and what to do.
type Problem struct {
	Title  string         `json:"title" doc:"The reason phrase of the status."`
	Status int            `json:"status" doc:"The HTTP status."`
	Detail string         `json:"detail" doc:"A sentence for the operator: what is wrong, and what to do."`
	Errors []FieldProblem `json:"errors,omitempty" nullable:"false" doc:"What is wrong with single fields."`

	challenge bool // the response names the scheme of authentication
}

// FieldProblem is what is wrong with one field of a request. It never repeats the value,
// which may be a phone number or a secret (invariant 10).
type FieldProblem struct {
	Location string `json:"location" doc:"The field, such as body.redirect_uris[0] or query.limit."`
	Detail   string `json:"detail" doc:"What is wrong with it."`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (*Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.challenge {
		h.Set("WWW-Authenticate", `Bearer realm="calleridp admin"`)
	}
	return h
}

// refused is a request that is refused, with a sentence for the operator.
func refused(status int, format string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// invalid is a request with fields that are refused.
func invalid(fields client.FieldErrors) *Problem {
	p := refused(http.StatusUnprocessableEntity, "%s", fields.Error())
	for _, f := range fields {
		p.Errors = append(p.Errors, FieldProblem{Location: "body." + f.Field, Detail: f.Reason})
	}
	return p
}

// huma takes its errors from variables. Its own model repeats values of the request.
func init() {
	huma.NewError = func(status int, text string, errs ...error) huma.StatusError {
		p := refused(status, "%s", text)
		for _, err := range errs {
			if err == nil {
				continue
			}
			detail := FieldProblem{Detail: err.Error()}
			if known, ok := err.(huma.ErrorDetailer); ok {
				d := known.ErrorDetail()
				detail = FieldProblem{Location: d.Location, Detail: d.Message}
			}
			p.Errors = append(p.Errors, detail)
			p.Detail += "; " + detail.Location + ": " + detail.Detail
		}
		return p
	}
	huma.DefaultArrayNullable = false
	huma.ValidateStrictCasing = true // one spelling of a field, so that none is checked and another one read
}

// away begins what an operator is told while the store cannot be asked.
const away = "the server cannot use its store now; run the command again when /readyz responds with 200, and if the outcome is unknown, look first whether it was done: "

// problem is what an operator gets for an error of an operation. What is not a refusal is
// logged as a failure of our own.
func (a *API) problem(ctx context.Context, o *huma.Operation, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	a.Log.ErrorContext(ctx, "an operator's request failed", "operation", o.OperationID, "error", err)
	if errors.Is(err, audit.ErrNotRecorded) {
		return refused(http.StatusServiceUnavailable, "%v", err)
	}
	var passing interface{ Unavailable() time.Duration } // as for requests of users
	if errors.As(err, &passing) {
		return refused(http.StatusServiceUnavailable, "%s%v", away, err)
	}
	return refused(http.StatusInternalServerError, "the server failed: %v", err)
}
