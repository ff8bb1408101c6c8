<?php
switch (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case '/':
        echo '<h1>Hello from PHP behind nginx</h1>';
        break;
    case '/json':
        header('Content-Type: application/json');
        echo json_encode(['received' => json_decode(file_get_contents('php://input'))]);
        break;
    case '/query':
        header('Content-Type: text/plain');
        echo $_SERVER['QUERY_STRING'];
        break;
    case '/cookies':
        setcookie('one', '1');
        setcookie('two', '2', ['expires' => strtotime('2037-10-21T07:28:00Z')]);
        echo 'two cookies';
        break;
    case '/download':
        header('Content-Type: application/octet-stream');
        echo str_repeat(implode('', array_map('chr', range(0, 255))), 256);
        break;
    case '/redirect':
        header('Location: /', true, 302);
        break;
    default:
        http_response_code(404);
        echo 'not found';
}
