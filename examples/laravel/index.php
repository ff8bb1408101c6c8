<?php
// The smallest Laravel; an application made by `laravel new` runs the same way, with public/index.php.
require 'Illuminate/autoload.php';
require __DIR__ . '/app/Kernel.php';
require __DIR__ . '/app/Routes.php';

$app = new Illuminate\Foundation\Application(__DIR__);
// Of Lambda's file system only /tmp can be written.
$app->useStoragePath('/tmp/storage');
@mkdir('/tmp/storage/views', 0777, true);
$app->singleton(Illuminate\Contracts\Http\Kernel::class, App\Kernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);

$kernel = $app->make(Illuminate\Contracts\Http\Kernel::class);
$request = Illuminate\Http\Request::capture();
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
