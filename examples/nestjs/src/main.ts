import "reflect-metadata";
import { Body, Controller, Get, Header, HttpCode, Module, Post, Redirect, Req, Res } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { Request, Response } from "express";

@Controller()
class AppController {
  @Get()
  @Header("content-type", "text/html")
  page() {
    return "<h1>Hello from NestJS</h1>";
  }

  @Post("json")
  @HttpCode(200)
  json(@Body() received: unknown) {
    return { received };
  }

  @Get("query")
  query(@Req() request: Request) {
    return request.url.split("?").slice(1).join("?");
  }

  @Get("cookies")
  cookies(@Res({ passthrough: true }) response: Response) {
    response.cookie("one", "1");
    response.cookie("two", "2", { expires: new Date("2037-10-21T07:28:00Z") });
    return "two cookies";
  }

  @Get("download")
  download(@Res() response: Response) {
    response.send(Buffer.from(Array.from({ length: 65536 }, (_, i) => i)));
  }

  @Get("redirect")
  @Redirect("/")
  redirect() {}
}

@Module({ controllers: [AppController] })
class AppModule {}

async function main() {
  const app = await NestFactory.create(AppModule);
  await app.listen(process.env.PORT || 8080, "127.0.0.1");
}
main();
