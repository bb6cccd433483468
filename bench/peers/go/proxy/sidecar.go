package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// contextHeaders say what a call is about; none of them goes to the vendor.
var contextHeaders = []string{
	"X-Connect-Target-Url", "X-Connect-Vendor-Id", "X-Connect-Environment-Id", "X-Connect-Marketplace-Id",
	"X-Connect-Product-Id", "X-Connect-Subscription-Id", "X-Connect-Context-Data",
}

// sensitiveHeaders of a vendor never reach the platform.
var sensitiveHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token"}

// allowList finds the path patterns of a host and port in constant time.
type allowList map[string][]string

// benchAllowList returns 99 hosts that are never called and the upstream.
func benchAllowList(upstream string) allowList {
	list := allowList{}
	for i := 0; i < 99; i++ {
		list[fmt.Sprintf("api-%d.example.com", i)] = []string{"/v1/**"}
	}
	list[upstream] = []string{"/**"}
	return list
}

func (list allowList) allows(host, path string) bool {
	for _, pattern := range list[host] {
		prefix := strings.TrimSuffix(pattern, "**")
		if strings.HasPrefix(path, prefix) || path == strings.TrimSuffix(prefix, "/") {
			return true
		}
	}
	return false
}

// sidecarHandler sends a request to the URL that it names in a header. Credentials come from a map by vendor: with plugin "none" there are
// none, with "fast" a header is set, with "slow" another one signs the request.
func sidecarHandler(transport http.RoundTripper, list allowList, plugin, token, secret string) http.Handler {
	credentials := map[string]string{"vendor-1": "Bearer " + secret}
	type target struct {
		url    *url.URL
		vendor string
	}
	type targetKey struct{}
	proxy := &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: newBuffers(),
		Rewrite: func(request *httputil.ProxyRequest) {
			to := request.In.Context().Value(targetKey{}).(target)
			request.Out.URL = to.url
			request.Out.Host = to.url.Host
			header := request.Out.Header
			for _, name := range contextHeaders {
				header.Del(name)
			}
			for _, name := range sensitiveHeaders {
				header.Del(name)
			}
			header.Del(tokenHeader)
			if plugin == "none" {
				return
			}
			header.Set("Authorization", credentials[to.vendor])
			if plugin == "slow" {
				mac := hmac.New(sha256.New, []byte(secret))
				mac.Write([]byte(request.Out.Method + "\n" + to.url.Path))
				header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
			}
		},
		ModifyResponse: func(response *http.Response) error {
			for _, name := range sensitiveHeaders {
				response.Header.Del(name)
			}
			return nil
		},
	}
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		header := request.Header
		if subtle.ConstantTimeCompare([]byte(header.Get(tokenHeader)), []byte(token)) != 1 {
			http.Error(writer, "who are you?", http.StatusProxyAuthRequired)
			return
		}
		to, err := url.Parse(header.Get("X-Connect-Target-Url"))
		if err != nil || to.Host == "" {
			http.Error(writer, "invalid target URL", http.StatusBadRequest)
			return
		}
		if !list.allows(to.Host, to.Path) {
			http.Error(writer, "not allowed", http.StatusForbidden)
			return
		}
		if text := header.Get("X-Connect-Context-Data"); text != "" {
			var data map[string]any
			decoded, err := base64.StdEncoding.DecodeString(text)
			if err != nil || json.Unmarshal(decoded, &data) != nil {
				http.Error(writer, "invalid Context-Data", http.StatusBadRequest)
				return
			}
		}
		ctx := context.WithValue(request.Context(), targetKey{}, target{to, header.Get("X-Connect-Vendor-Id")})
		proxy.ServeHTTP(writer, request.WithContext(ctx))
	})
}
