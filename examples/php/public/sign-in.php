<?php
// Apache lets only signed-in users in here, and sends all others to the provider first.
header('Location: /');
