// net/http of the standard library: `PROGRAM METHOD URL [FILE]`; the file is streamed, so that it goes out in chunks.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	var body io.Reader
	if len(os.Args) > 3 {
		file, err := os.Open(os.Args[3])
		if err != nil {
			log.Fatal(err)
		}
		defer file.Close()
		// Go knows the length of a file it is given as such, and would send it.
		body = io.MultiReader(file)
	}
	request, err := http.NewRequest(os.Args[1], os.Args[2], body)
	if err != nil {
		log.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"status": response.StatusCode, "body": string(text)})
}
