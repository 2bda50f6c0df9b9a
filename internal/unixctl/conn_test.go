package unixctl_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/unixctl"
)

// server answers every request on one connection with what reply makes of it.
// It sees the requests as they came over the wire.
func server(t *testing.T, reply func(request map[string]any) string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.ctl")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		dec := json.NewDecoder(c)
		for {
			var request map[string]any
			if dec.Decode(&request) != nil {
				return
			}
			text := reply(request)
			if text == "" {
				return
			}
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}()
	return path
}

func dial(t *testing.T, path string) *unixctl.Conn {
	t.Helper()
	c, err := unixctl.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestCall: what goes over the wire, and that a refusal leaves the connection
// in use.
func TestCall(t *testing.T) {
	t.Parallel()
	var seen []map[string]any
	c := dial(t, server(t, func(r map[string]any) string {
		seen = append(seen, r)
		if r["method"] == "bad" {
			return `{"id":1,"result":null,"error":"no such thing\n"}`
		}
		return `{"error":null,"id":2,"result":"one\ntwo\n"}`
	}))
	_, err := c.Call(t.Context(), "bad")
	var refused *unixctl.Error
	if !errors.As(err, &refused) || *refused != (unixctl.Error{Method: "bad", Text: "no such thing"}) {
		t.Errorf("got %v, want the server's refusal", err)
	}
	got, err := c.Call(t.Context(), "good", "a", "b c")
	if err != nil || got != "one\ntwo\n" {
		t.Errorf("got %q, %v", got, err)
	}
	want := []map[string]any{
		{"method": "bad", "params": []any{}, "id": 1.0},
		{"method": "good", "params": []any{"a", "b c"}, "id": 2.0},
	}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// TestCallFails: what is no answer is told as such, and ends the connection.
func TestCallFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, answer, want string }{
		{"gone", "", "has gone without an answer"},
		{"no JSON", "hello", "another program"},
		{"another kind of JSON", `[1]`, "another program"},
		{"a result that is no text", `{"id":1,"result":7,"error":null}`, "another program"},
		{"another call's answer", `{"id":7,"result":"x","error":null}`, "another program"},
		{"no id", `{"result":"x","error":null}`, "another program"},
		{"both", `{"id":1,"result":"x","error":"y"}`, "another program"},
		{"neither", `{"id":1,"result":null,"error":null}`, "another program"},
		{"too long", `{"id":1,"error":null,"result":"` + strings.Repeat("x", 64<<20) + `"}`, "ask for less"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, server(t, func(map[string]any) string { return tt.answer }))
			if _, err := c.Call(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
			if _, err := c.Call(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "connect anew") {
				t.Errorf("then: got %v, want an error that says to connect anew", err)
			}
		})
	}
	t.Run("a call too long", func(t *testing.T) {
		t.Parallel()
		c := dial(t, server(t, func(map[string]any) string { return `{"id":2,"error":null,"result":"y"}` }))
		if _, err := c.Call(t.Context(), "x", strings.Repeat("a", 1<<20)); err == nil || !strings.Contains(err.Error(), "shorten") {
			t.Errorf("got %v, want an error that says to shorten it", err)
		}
		if got, err := c.Call(t.Context(), "x"); got != "y" || err != nil {
			t.Errorf("then: got %q, %v: what was never sent ends nothing", got, err)
		}
	})
}

// TestCallEnds: a server that says nothing is waited for as long as the caller
// wants.
func TestCallEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.ctl")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan net.Conn, 2)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := bufio.NewReader(c).ReadByte(); err == nil {
				asked <- c
			}
		}
	}()
	t.Run("cancelled", func(t *testing.T) {
		c := dial(t, path)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer (<-asked).Close()
			cancel()
		}()
		if _, err := c.Call(ctx, "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
	t.Run("too late", func(t *testing.T) {
		c := dial(t, path)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Call(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in time") {
			t.Errorf("got %v, want that it did not answer in time", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		c := dial(t, path)
		go func() {
			for range asked { // the one of the time before may come first
				c.Close()
			}
		}()
		if _, err := c.Call(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("got %v, want that the connection is gone", err)
		}
	})
}

// TestFind: the socket's name comes from the process id, and what is missing is
// named.
func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fails := func(want string) {
		t.Helper()
		if _, err := unixctl.Find(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
	fails("is ovs-vswitchd running")
	for _, text := range []string{"", "abc\n", "-3\n", "0\n", strings.Repeat("9", 40)} {
		if err := os.WriteFile(filepath.Join(dir, "ovs-vswitchd.pid"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		fails("no process id")
	}
	if err := os.WriteFile(filepath.Join(dir, "ovs-vswitchd.pid"), []byte("4711\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := unixctl.Find(dir)
	if err != nil || path != filepath.Join(dir, "ovs-vswitchd.4711.ctl") {
		t.Fatalf("got %q, %v", path, err)
	}
	if _, err := unixctl.Dial(t.Context(), path); err == nil || !strings.Contains(err.Error(), "is ovs-vswitchd running") {
		t.Errorf("a socket that is not there: got %v", err)
	}
}
