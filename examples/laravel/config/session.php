<?php

return ['path' => '/', 'domain' => null, 'secure' => true, 'same_site' => 'lax'];
