<?php
namespace App;

use Illuminate\Foundation\Http\Kernel as HttpKernel;

class Kernel extends HttpKernel
{
    protected $middleware = [
        \Illuminate\Cookie\Middleware\AddQueuedCookiesToResponse::class,
    ];

    protected function bootstrappers()
    {
        // There is no .env file: Lambda gives the environment.
        return array_diff(parent::bootstrappers(), [\Illuminate\Foundation\Bootstrap\LoadEnvironmentVariables::class]);
    }
}
