package fakessm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// identity is the response of STS to GetCallerIdentity.
const identity = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::123456789012:user/fake</Arn><UserId>FAKE</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`

// ServeHTTP implements SSM's protocol (AWS JSON 1.1), and GetCallerIdentity of STS.
func (s *SSM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, action, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	if !ok {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write([]byte(identity))
		return
	}
	answer, err := s.serve(r, action)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	var refused smithy.APIError
	switch {
	case errors.As(err, &refused):
		w.WriteHeader(http.StatusBadRequest)
		answer = map[string]string{"__type": refused.ErrorCode(), "message": refused.ErrorMessage()}
	case err != nil:
		panic(http.ErrAbortHandler) // the response is lost
	}
	_ = json.NewEncoder(w).Encode(wire(answer))
}

func (s *SSM) serve(r *http.Request, action string) (any, error) {
	switch action {
	case "PutParameter":
		return served(r, s.PutParameter)
	case "DeleteParameters":
		return served(r, s.DeleteParameters)
	case "GetParameters":
		return served(r, s.GetParameters)
	case "GetParametersByPath":
		return served(r, s.GetParametersByPath)
	case "DescribeParameters":
		return served(r, s.DescribeParameters)
	case "GetParameterHistory":
		return served(r, s.GetParameterHistory)
	}
	return nil, &smithy.GenericAPIError{Code: "UnknownOperationException", Message: action}
}

func served[In, Out, Option any](r *http.Request, do func(context.Context, *In, ...Option) (*Out, error)) (any, error) {
	in := new(In)
	if err := json.NewDecoder(r.Body).Decode(in); err != nil {
		return nil, &smithy.GenericAPIError{Code: "SerializationException", Message: err.Error()}
	}
	return do(r.Context(), in)
}

// wire converts a response to AWS JSON 1.1, in which a time is a number of seconds.
func wire(answer any) any {
	text, _ := json.Marshal(answer)
	var tree any
	_ = json.Unmarshal(text, &tree)
	seconds(tree)
	return tree
}

func seconds(tree any) {
	switch node := tree.(type) {
	case []any:
		for _, one := range node {
			seconds(one)
		}
	case map[string]any:
		for name, one := range node {
			text, ok := one.(string)
			if at, err := time.Parse(time.RFC3339Nano, text); ok && err == nil && strings.HasSuffix(name, "Date") {
				node[name] = float64(at.UnixMilli()) / 1000
			}
			seconds(one)
		}
	}
}
