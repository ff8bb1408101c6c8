package main

import (
	"log"
	"net/http"

	"github.com/gin-gonic/gin"
)

func page(c *gin.Context) {
	c.Data(http.StatusOK, "text/html; charset=utf-8", []byte("<h1>Hello from Gin</h1>"))
}

func posted(c *gin.Context) {
	var received any
	if err := c.BindJSON(&received); err != nil {
		return
	}
	c.JSON(http.StatusOK, gin.H{"received": received})
}

func cookies(c *gin.Context) {
	c.SetCookie("one", "1", 0, "/", "", true, true)
	c.SetCookie("two", "2", 3600, "/", "", true, true)
	c.String(http.StatusOK, "two cookies")
}

func download(c *gin.Context) {
	data := make([]byte, 65536)
	for i := range data {
		data[i] = byte(i)
	}
	c.Data(http.StatusOK, "application/octet-stream", data)
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.Default()
	r.GET("/", page)
	r.HEAD("/", page)
	r.POST("/json", posted)
	r.GET("/query", func(c *gin.Context) { c.String(http.StatusOK, "%s", c.Request.URL.RawQuery) })
	r.GET("/cookies", cookies)
	r.GET("/download", download)
	r.GET("/redirect", func(c *gin.Context) { c.Redirect(http.StatusFound, "/") })

	// On $PORT, or 8080.
	log.Fatal(r.Run())
}
