package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/urfave/negroni"
)

func page(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, "<h1>Hello from Negroni</h1>")
}

func posted(w http.ResponseWriter, r *http.Request) {
	var received any
	if err := json.NewDecoder(r.Body).Decode(&received); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"received": received})
}

func query(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, r.URL.RawQuery)
}

func cookies(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "one", Value: "1"})
	http.SetCookie(w, &http.Cookie{Name: "two", Value: "2", Expires: time.Date(2037, 10, 21, 7, 28, 0, 0, time.UTC)})
	fmt.Fprint(w, "two cookies")
}

func download(w http.ResponseWriter, r *http.Request) {
	data := make([]byte, 65536)
	for i := range data {
		data[i] = byte(i)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(data)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", page)
	mux.HandleFunc("/json", posted)
	mux.HandleFunc("/query", query)
	mux.HandleFunc("/cookies", cookies)
	mux.HandleFunc("/download", download)
	mux.Handle("/redirect", http.RedirectHandler("/", http.StatusFound))

	// Recovery from panics and a log line for each request.
	app := negroni.New(negroni.NewRecovery(), negroni.NewLogger())
	app.UseHandler(mux)

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	app.Run("127.0.0.1:" + port)
}
