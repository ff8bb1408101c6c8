<?php

return ['paths' => [], 'compiled' => '/tmp/storage/views'];
