<?php
// The app for PHP's built-in server and php-fpm.
$path = $_SERVER['PATH_INFO'] ?? parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$path = preg_replace('#^/app\.php#', '', $path);
header('Content-Type: text/plain');
switch ($path) {
    case '/plain':
        echo 'plain';
        break;
    case '/echo':
        echo file_get_contents('php://input');
        break;
    case '/large':
        echo str_repeat('x', 3000000);
        break;
    case '/stream':
        header('Content-Type: text/event-stream');
        for ($part = 0; $part < 5; $part++) {
            echo "data: $part\n\n";
            while (ob_get_level() > 0) {
                ob_end_flush();
            }
            flush();
            usleep(100000);
        }
        break;
    case '/refuse':
        http_response_code(413);
        echo 'refused';
        break;
    default:
        http_response_code(404);
        echo 'missing';
}
