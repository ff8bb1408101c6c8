package main

import (
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

func page(c echo.Context) error {
	return c.HTML(http.StatusOK, "<h1>Hello from Echo</h1>")
}

func posted(c echo.Context) error {
	var received any
	if err := c.Bind(&received); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"received": received})
}

func cookies(c echo.Context) error {
	c.SetCookie(&http.Cookie{Name: "one", Value: "1"})
	c.SetCookie(&http.Cookie{Name: "two", Value: "2", Expires: time.Date(2037, 10, 21, 7, 28, 0, 0, time.UTC)})
	return c.String(http.StatusOK, "two cookies")
}

func download(c echo.Context) error {
	data := make([]byte, 65536)
	for i := range data {
		data[i] = byte(i)
	}
	return c.Blob(http.StatusOK, echo.MIMEOctetStream, data)
}

func main() {
	e := echo.New()
	e.GET("/", page)
	e.HEAD("/", page)
	e.POST("/json", posted)
	e.GET("/query", func(c echo.Context) error { return c.String(http.StatusOK, c.QueryString()) })
	e.GET("/cookies", cookies)
	e.GET("/download", download)
	e.GET("/redirect", func(c echo.Context) error { return c.Redirect(http.StatusFound, "/") })

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	e.Logger.Fatal(e.Start("127.0.0.1:" + port))
}
