package main

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

type authorityKey struct{}

// intercepted is a TLS connection inside a tunnel, with the authority that the CONNECT named.
type intercepted struct {
	*tls.Conn
	authority string
}

// handoff is a listener whose connections are the tunnels that have been opened.
type handoff struct {
	connections chan net.Conn
	address     net.Addr
}

func (h *handoff) Accept() (net.Conn, error) { return <-h.connections, nil }
func (h *handoff) Close() error              { return errors.New("the listener lives as long as the process") }
func (h *handoff) Addr() net.Addr            { return h.address }

// serveMITM accepts CONNECT on listener and serves all tunnels with one inner server and one shared transport.
func serveMITM(listener net.Listener, authority *authority, transport http.RoundTripper, rules ruleSet, token, secret string) error {
	tunnels := &handoff{make(chan net.Conn, 64), listener.Addr()}
	inner := &http.Server{
		Handler:           interceptedHandler(transport, rules, secret),
		ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, connection net.Conn) context.Context {
			return context.WithValue(ctx, authorityKey{}, connection.(*intercepted).authority)
		},
	}
	go func() { check(inner.Serve(tunnels)) }()

	configuration := &tls.Config{
		NextProtos:       []string{"http/1.1"},
		CurvePreferences: []tls.CurveID{tls.X25519},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return authority.leaf(hello.ServerName)
		},
	}
	outer := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodConnect {
			http.Error(writer, "CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		if subtle.ConstantTimeCompare([]byte(basicPassword(request.Header.Get("Proxy-Authorization"))), []byte(token)) != 1 {
			writer.Header().Set("Proxy-Authenticate", `Basic realm="bench"`)
			http.Error(writer, "who are you?", http.StatusProxyAuthRequired)
			return
		}
		connection, buffered, err := writer.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		// A client that sends its hello before the answer to CONNECT is not part of any workload.
		if buffered.Reader.Buffered() > 0 {
			connection.Close()
			return
		}
		if _, err := connection.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
			connection.Close()
			return
		}
		tunnels.connections <- &intercepted{tls.Server(connection, configuration), request.Host}
	})}
	return outer.Serve(listener)
}

func basicPassword(header string) string {
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(header, "Basic "))
	if err != nil {
		return ""
	}
	_, password, _ := strings.Cut(string(decoded), ":")
	return password
}

// interceptedHandler checks each request of a tunnel by itself and sends it to the tunnel's authority.
func interceptedHandler(transport http.RoundTripper, rules ruleSet, secret string) http.Handler {
	authorization := "Bearer " + secret
	proxy := &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: newBuffers(),
		Rewrite: func(request *httputil.ProxyRequest) {
			request.Out.URL.Scheme = "https"
			request.Out.URL.Host = request.In.Host
			request.Out.Header.Set("Authorization", authorization)
		},
	}
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.Host != request.Context().Value(authorityKey{}).(string) {
			http.Error(writer, "this tunnel leads elsewhere", http.StatusMisdirectedRequest)
			return
		}
		if !rules.allows(request.Host, request.Method, request.URL.Path) {
			http.Error(writer, "not allowed", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(writer, request)
	})
}
