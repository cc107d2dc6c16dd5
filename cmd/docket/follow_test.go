package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The example of the Standard Webhooks specification's own libraries.
func TestWebhookSignature(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := signWebhook(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
}

// takeWebhooks serves an address that takes webhooks, in HOOK, which checks each with the secret
// in a file: receiver FILE SECRET STATUS…. The first ones are answered with those statuses,
// all others with 204. FILE gets a line each: status, index, kind, and "forged" if the
// signature is not of it.
func takeWebhooks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: receiver FILE SECRET STATUS…")
	}
	file, secretFile, statuses := ts.MkAbs(args[0]), ts.MkAbs(args[1]), args[2:]
	var mu sync.Mutex // guards statuses, and the file
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		status := http.StatusNoContent
		if len(statuses) > 0 {
			status, _ = strconv.Atoi(statuses[0])
			statuses = statuses[1:]
		}
		body, err := io.ReadAll(r.Body)
		text, readErr := os.ReadFile(secretFile)
		var said struct {
			Data struct {
				Index  int    `json:"index"`
				Kind   string `json:"kind"`
				Record string `json:"record"`
			} `json:"data"`
		}
		key, keyErr := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(text)), "whsec_"))
		mac := hmac.New(sha256.New, key)
		io.WriteString(mac, r.Header.Get("webhook-id")+"."+r.Header.Get("webhook-timestamp")+"."+string(body))
		word := ""
		if err != nil || readErr != nil || keyErr != nil || json.Unmarshal(body, &said) != nil || said.Data.Record != r.Header.Get("webhook-id") ||
			r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			word = " forged"
		}
		out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			fmt.Fprintf(out, "%d %d %s%s\n", status, said.Data.Index, said.Data.Kind, word)
			out.Close()
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	ts.Defer(server.Close)
	ts.Setenv("HOOK", server.URL)
}
