package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
)

// newCredential is the body of POST /credentials.
type newCredential struct {
	UserID   int64           `json:"user_id"`
	Name     string          `json:"name"`
	Provider string          `json:"provider"`
	Keys     json.RawMessage `json:"keys"` // what is sealed: a JSON object
}

func routes(s *store, conf config) *http.ServeMux {
	opts := conf.Options
	mux := addHealth(http.NewServeMux(), !opts.BackendUnhealthy)
	mux.HandleFunc("GET /api/service-info", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"serviceInfo": map[string]any{
			"version": opts.BackendVersion, "apiVersion": "1.181.0", "commitId": "standin",
		}})
	})
	mux.HandleFunc("POST /credentials", func(w http.ResponseWriter, r *http.Request) { create(w, r, s) })
	mux.HandleFunc("GET /credentials/{id}/check", func(w http.ResponseWriter, r *http.Request) {
		which, err := s.check(r.Context(), r.PathValue("id"))
		switch {
		case err == nil:
			answer(w, http.StatusOK, map[string]any{"id": r.PathValue("id"), "key": which})
		case errors.Is(err, errNoCredential):
			answer(w, http.StatusNotFound, map[string]any{"error": err.Error()})
		case errors.Is(err, errNoKey):
			answer(w, http.StatusConflict, map[string]any{"error": err.Error()})
		default:
			answer(w, http.StatusInternalServerError, map[string]any{"error": "database error"})
		}
	})
	return mux
}

func create(w http.ResponseWriter, r *http.Request, s *store) {
	body := newCredential{Provider: "aws"}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&body); err != nil || len(body.Keys) == 0 || body.Keys[0] != '{' {
		answer(w, http.StatusBadRequest, map[string]any{"error": "the body must be {user_id, name, provider?, keys: {…}}"})
		return
	}
	salt, id := make([]byte, saltBytes), make([]byte, saltBytes)
	_, _ = rand.Read(salt)
	_, _ = rand.Read(id)
	c := credential{
		ID: base64.RawURLEncoding.EncodeToString(id), UserID: body.UserID, Name: body.Name, Provider: body.Provider,
		Salt: salt, plain: body.Keys,
	}
	if err := s.create(r.Context(), c, rand.Reader); err != nil {
		answer(w, http.StatusInternalServerError, map[string]any{"error": "the credential was not created"})
		return
	}
	answer(w, http.StatusCreated, map[string]any{"id": c.ID})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
