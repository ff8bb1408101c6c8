<?php
namespace App;

use Illuminate\Http\Request;
use Illuminate\Support\Facades\Route;
use Illuminate\Foundation\Support\Providers\RouteServiceProvider;

class Routes extends RouteServiceProvider
{
    public function map()
    {
        Route::get('/', fn () => '<h1>Hello from Laravel</h1>');
        Route::post('/json', fn (Request $request) => ['received' => $request->json()->all()]);
        Route::get('/query', fn (Request $request) => response($request->server('QUERY_STRING'))->header('Content-Type', 'text/plain'));
        Route::get('/cookies', fn () => response('two cookies')->cookie('one', '1')->cookie('two', '2', 60));
        Route::get('/download', fn () => response(str_repeat(implode('', array_map('chr', range(0, 255))), 256))
            ->header('Content-Type', 'application/octet-stream'));
        Route::get('/redirect', fn () => redirect('/'));
    }
}
