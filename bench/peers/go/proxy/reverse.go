package main

import (
	"crypto/subtle"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

const tokenHeader = "X-Sallyport-Token"

// buffers lends copy buffers to the reverse proxies; without it every response allocates 32 KB.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { p := make([]byte, 64<<10); return &p }}}
}

// reverseHandler sends every admitted request to target with the secret in its Authorization header.
func reverseHandler(target *url.URL, transport http.RoundTripper, rules ruleSet, token, secret string) http.Handler {
	authorization := "Bearer " + secret
	proxy := &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: newBuffers(),
		Rewrite: func(request *httputil.ProxyRequest) {
			request.Out.URL.Scheme = target.Scheme
			request.Out.URL.Host = target.Host
			request.Out.Host = target.Host
			request.Out.Header.Del(tokenHeader)
			request.Out.Header.Set("Authorization", authorization)
		},
	}
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if subtle.ConstantTimeCompare([]byte(request.Header.Get(tokenHeader)), []byte(token)) != 1 {
			http.Error(writer, "who are you?", http.StatusProxyAuthRequired)
			return
		}
		if !rules.allows(target.Host, request.Method, request.URL.Path) {
			http.Error(writer, "not allowed", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(writer, request)
	})
}
