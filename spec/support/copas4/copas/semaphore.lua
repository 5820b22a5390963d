--- What copas.loop needs of `copas.semaphore`, which Debian's Copas 4 lacks.
return { new = function() return { destroy = function() end } end }
